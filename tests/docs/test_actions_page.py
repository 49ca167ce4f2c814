"""The action in docs/actions.md works as the page says."""

import re
from typing import Any

import pytest
from flask import Flask

from taskapi.schedules.actions import registry
from tests.e2e.installation import REPOSITORY
from tests.people import Person
from tests.work import run_jobs


def action_of_the_page() -> Any:
    page = (REPOSITORY / "docs" / "actions.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    namespace: dict[str, Any] = {"__name__": "page"}
    exec(source, namespace)
    return namespace["GREET"]


@pytest.mark.parametrize(("name", "status"), [("Ada", "completed"), ("nobody", "failed")])
def test_the_example_runs(app: Flask, owner: Person, name: str, status: str) -> None:
    registry.register(action_of_the_page())
    try:
        body = {"action": "greet", "params": {"name": name}, "cron": "0 0 1 1 *"}
        schedule = owner.post("/api/schedules", body).json
        run = owner.post(f"/api/schedules/{schedule['id']}/run").json
        run_jobs(app)
    finally:
        registry.unregister("greet")
    run = owner.get(f"/api/runs/{run['id']}").json
    assert run["status"] == status
    assert run["result"] == ({"greeting": "Hello, Ada!"} if status == "completed" else None)
    assert (
        owner.get(f"/api/runs/{run['id']}/log").json["items"][0]["message"] == f"Greeting {name}, attempt 1."
    )
