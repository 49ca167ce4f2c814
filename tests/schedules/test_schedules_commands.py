"""flask admin schedules list, show, pause, resume, run, cancel"""

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from taskapi.core.db import session
from taskapi.core.events import Event
from tests.people import Person
from tests.schedules.making import make

Call = Callable[..., Result]
COMMAND = "admin schedules"


def rows(flask: Call, line: str) -> list[dict[str, Any]]:
    result = flask(f"{COMMAND} {line} --json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_list_tells_everybodys_newest_first(flask: Call, owner: Person, teammate: Person) -> None:
    make(owner, every=90, name="Tea")
    make(teammate, cron="0 9 * * *", name="Milk")
    found = rows(flask, "list")
    assert [(each["name"], each["owner"], each["when"]) for each in found] == [
        ("Milk", "tariq", "0 9 * * *"),
        ("Tea", "olivia", "every 90 s"),
    ]
    for options, names in (
        ("--owner olivia", ["Tea"]),
        ("--action REMINDER", []),
        ("--action reminder", ["Milk", "Tea"]),
        ("--status PAUSED", []),
        ("-q mil", ["Milk"]),
        ("--limit 1", ["Milk"]),
    ):
        assert [each["name"] for each in rows(flask, f"list {options}")] == names


def test_show_tells_no_secret(flask: Call, owner: Person) -> None:
    params = {"url": "https://1.1.1.1/", "method": "POST", "secret": "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQ="}
    schedule = make(owner, action="webhook", params=params, every=3600)
    (shown,) = rows(flask, f"show {schedule['id']}")
    assert (shown["id"], shown["owner"], shown["params"]["secret"]) == (schedule["id"], "olivia", "***")


def test_it_is_held_and_goes_on(flask: Call, app: Flask, owner: Person) -> None:
    path = f"/api/schedules/{make(owner, every=60)['id']}"
    for command, status in (("pause", "paused"), ("pause", "paused"), ("resume", "active")):
        (shown,) = rows(flask, f"{command} {path.rpartition('/')[2]}")
        assert shown["status"] == owner.get(path).json["status"] == status
    with app.app_context():
        by_whom = sa.select(Event.actor_id).where(Event.type.in_(["schedule.paused", "schedule.resumed"]))
        assert session().scalars(by_whom).all() == [None, None]


def test_run_shows_the_run(flask: Call, owner: Person) -> None:
    schedule = make(owner, every=3600)
    (run,) = rows(flask, f"run {schedule['id']}")
    assert (run["schedule_id"], run["status"], run["owner"]) == (schedule["id"], "pending", "olivia")
    assert owner.get(f"/api/runs/{run['id']}").json["trigger"] == "manual"


def test_cancel_asks_first(flask: Call, owner: Person) -> None:
    schedule = make(owner, every=60, name="Tea")
    refused = flask(f"{COMMAND} cancel {schedule['id']}", typed="n\n")
    assert (refused.exit_code, "Cancel schedule 'Tea' for good?" in refused.stderr) == (1, True)
    assert flask(f"{COMMAND} cancel {schedule['id']}").exit_code == 1
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "active"
    (shown,) = rows(flask, f"cancel {schedule['id']} --yes")
    assert shown["status"] == "cancelled"


def test_what_cannot_be_done_is_one_line(flask: Call, owner: Person) -> None:
    schedule = make(owner, every=60)
    rows(flask, f"cancel {schedule['id']} --yes")
    result = flask(f"{COMMAND} resume {schedule['id']}")
    assert (result.exit_code, result.stderr) == (1, "Error: The schedule was cancelled, which is final.\n")


@pytest.mark.one_database
@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("name", ["tea", "01999999-0000-7000-8000-000000000000"])
@pytest.mark.parametrize("command", ["show", "pause", "resume", "run", "cancel --yes"])
def test_a_wrong_id_is_one_line_and_exit_code_1(flask: Call, command: str, name: str) -> None:
    result = flask(f"{COMMAND} {command} {name}")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: There is no schedule {name!r}.\n"
