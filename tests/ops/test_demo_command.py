"""`flask admin demo`: a team to look at, or a crowd to measure with."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from taskapi.core.db import session
from taskapi.tasks.models import Task
from tests.people import Person
from tests.settings import settings_changed

Run = Callable[..., Result]


def count_tasks(app: Flask) -> int:
    with app.app_context():
        return session().query(Task).count()


def asked(app: Flask, path: str, password: str) -> list[Any]:
    """What a list answers to one of the team who signs in."""
    client = app.test_client()
    signed_in: Any = client.post("/api/auth/login", json={"username": "mara", "password": password}).json
    answer: Any = client.get(path, headers={"Authorization": f"Bearer {signed_in['access_token']}"}).json
    items: list[Any] = answer["items"]
    return items


def test_the_team_signs_in_and_finds_its_work(flask: Run, app: Flask) -> None:
    result = flask("admin demo --json")
    assert result.exit_code == 0, result.output
    team = json.loads(result.stdout)
    assert len({person["username"] for person in team}) == len(team) >= 4
    password = re.findall(r"password (\S+)", result.stderr)[0]
    tasks = asked(app, "/api/tasks?per_page=100", password)
    assert {"todo", "in_progress", "done", "overdue", "cancelled"} == {task["status"] for task in tasks}
    assert all(task["due_date"] is None or task["due_date"].endswith(":00:00Z") for task in tasks)
    assert any(task["comment_count"] > 1 and task["tags"] for task in tasks)
    schedules = asked(app, "/api/schedules", password)
    assert {schedule["status"] for schedule in schedules} == {"active"}
    trends = asked(app, "/api/analytics/trends", password)
    assert sum(1 for period in trends if period["created"]) > 5


def test_there_is_one_team_only(flask: Run, app: Flask) -> None:
    assert flask("admin demo").exit_code == 0
    before = count_tasks(app)
    again = flask("admin demo")
    assert again.exit_code == 1
    assert again.stderr.splitlines()[-1] == "Error: The demo team is here already, or others have its names."
    assert count_tasks(app) == before


@pytest.mark.one_database
def test_production_is_asked_first(flask: Run, app: Flask) -> None:
    with settings_changed(app, environment="production"):
        assert flask("admin demo", typed="n\n").exit_code == 1
        assert count_tasks(app) == 0
        assert flask("admin demo --yes").exit_code == 0


def test_a_crowd_shares_its_tasks_evenly_and_finds_them(flask: Run, admin: Person) -> None:
    result = flask("admin demo --people 4 --tasks 40")
    assert result.exit_code == 0, result.output
    figures = admin.get("/api/analytics").json
    assert sorted(figures["by_user"].values()) == [10, 10, 10, 10]
    assert admin.get("/api/tasks?q=invoice+muller").status_code == 200
    first = admin.get("/api/tasks?sort=created_at").json["items"][0]
    word = first["title"].split()[1]
    found = admin.get(f"/api/tasks?q={word}&per_page=100").json["items"]
    assert first["id"] in {task["id"] for task in found}


@pytest.mark.one_database
def test_the_same_seed_makes_the_same_work(flask: Run, admin: Person) -> None:
    flask("admin demo --people 2 --tasks 5 --seed 7")
    flask("admin demo --people 2 --tasks 5 --seed 7")
    titles = [task["title"] for task in admin.get("/api/tasks?per_page=100&sort=title").json["items"]]
    assert titles[::2] == titles[1::2]
