"""Short ways to have a webhook called in tests."""

from typing import Any

from flask import Flask

from tests.people import Person
from tests.schedules.making import make
from tests.work import run_jobs


def called(app: Flask, person: Person, url: str, *, policy: Any = None, **params: Any) -> dict[str, Any]:
    """Make a schedule of the webhook, run it now, and give the run."""
    fields = {"action": "webhook", "params": {"url": url, **params}, "cron": "0 0 1 1 *"}
    schedule = make(person, **fields, **(policy or {}))
    return run_now(app, person, schedule)


def run_now(app: Flask, person: Person, schedule: dict[str, Any]) -> dict[str, Any]:
    run = person.post(f"/api/schedules/{schedule['id']}/run")
    assert run.status_code == 202, run.text
    run_jobs(app)
    return run_of(person, run.json["id"])


def run_of(person: Person, run_id: str) -> dict[str, Any]:
    run: dict[str, Any] = person.get(f"/api/runs/{run_id}").json
    return run


def refusals(person: Person, **params: Any) -> dict[str, list[str]]:
    """The errors that answer a schedule of the webhook with these params."""
    body = {"action": "webhook", "params": params, "cron": "0 0 1 1 *"}
    answer = person.post("/api/schedules", body)
    assert answer.status_code == 422, answer.text
    errors: dict[str, list[str]] = answer.json["errors"]
    return errors
