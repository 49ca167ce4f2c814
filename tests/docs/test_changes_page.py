"""The program in docs/changes.md keeps a true copy, and its table names what is told."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from taskapi.core import clock
from taskapi.core.following import followed_kinds
from taskapi.events.retention import forget_old_readers
from taskapi.events.webhooks.patterns import VERBS
from tests.e2e.installation import REPOSITORY
from tests.events.following import relay
from tests.people import Person
from tests.tasks.making import make_task, path_of

PAGE = (REPOSITORY / "docs" / "changes.md").read_text(encoding="utf-8")


@pytest.fixture
def program() -> dict[str, Any]:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    return namespace


def getter(person: Person) -> Callable[[str, dict[str, Any]], tuple[int, Any]]:
    def get(path: str, query: dict[str, Any]) -> tuple[int, Any]:
        relay(person)
        answer = person.get(path, query_string=query)
        return answer.status_code, answer.json

    return get


def listed(person: Person) -> dict[str, Any]:
    return {task["id"]: task for task in person.get("/api/tasks").json["items"]}


def test_the_copy_follows_what_happens_and_begins_anew_after_a_long_time(
    app: Flask, owner: Person, teammate: Person, program: dict[str, Any]
) -> None:
    get = getter(teammate)
    copy: dict[str, Any] = {}
    kept, lost, gone = (make_task(owner, assignee_id=str(teammate.id)) for _ in range(3))
    token = program["begin"](get, copy)
    assert copy == listed(teammate)
    assert len(copy) == 3
    owner.patch(path_of(kept), {"title": "Tea"})
    owner.patch(path_of(lost), {"assignee_id": None})
    owner.delete(path_of(gone))
    make_task(teammate)
    token = program["sync"](get, copy, token)
    assert copy == listed(teammate)
    assert len(copy) == 2

    owner.patch(path_of(kept), {"title": "Green tea"})
    relay(owner)
    later = clock.now() + timedelta(days=100)
    with app.app_context(), clock.use(lambda: later):
        forget_old_readers()
    token = program["sync"](get, copy, token)
    assert copy == listed(teammate)
    owner.patch(path_of(kept), {"assignee_id": None})
    program["sync"](get, copy, token)
    assert copy == listed(teammate)
    assert len(copy) == 1


@pytest.mark.one_database
def test_the_table_names_the_kinds_and_what_happens_to_them(app: Flask) -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| ((?:`\w+` ?)+) \|$", PAGE, flags=re.MULTILINE)
    table = {kind: set(re.findall(r"`(\w+)`", verbs)) for kind, verbs in rows}
    assert table.keys() == set(followed_kinds())
    assert table == {kind: set(verbs) - {"removed"} for kind, verbs in VERBS.items()}
