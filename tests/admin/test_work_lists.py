"""GET and DELETE under /api/admin/tasks, and GET and cancel under /api/admin/schedules and /api/admin/runs"""

from typing import Any

import pytest
from flask import Flask

from tests.accounts.helpers import code
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.tasks.making import make_task, path_of
from tests.work import tick

ADMIN = "/api/admin"


def listed(admin: Person, what: str, **query: Any) -> list[Any]:
    answer = admin.get(f"{ADMIN}/{what}", query_string=query)
    assert answer.status_code == 200, answer.text
    items: list[Any] = answer.json["items"]
    return items


@pytest.mark.one_database
@pytest.mark.parametrize("what", ["tasks", "schedules", "runs", "stats"])
def test_nobody_else_sees_them(owner: Person, what: str) -> None:
    assert code(owner.get(f"{ADMIN}/{what}")) == (403, "admin_only")


def test_tasks_are_everybodys_and_chosen_as_in_ones_own_list(
    owner: Person, teammate: Person, admin: Person
) -> None:
    make_task(owner, title="a", status="done")
    make_task(teammate, title="b")
    for query, found in (
        ({}, ["b", "a"]),
        ({"status": "DONE"}, ["a"]),
        ({"creator_id": str(teammate.id)}, ["b"]),
        ({"sort": "title", "per_page": 1}, ["a"]),
    ):
        assert [task["title"] for task in listed(admin, "tasks", **query)] == found


def test_anybodys_task_is_deleted_and_can_be_restored(owner: Person, admin: Person) -> None:
    task = make_task(owner, title="a")
    path = f"{ADMIN}/tasks/{task['id']}"
    assert admin.delete(path, headers={"If-Match": '"v9"'}).status_code == 412
    assert admin.delete(path).status_code == 204
    assert code(admin.delete(path)) == (404, "task_not_found")
    assert [each["title"] for each in listed(admin, "tasks", deleted="true")] == ["a"]
    assert owner.post(f"{path_of(task)}/restore").status_code == 200


def test_schedules_tell_whose_they_are(owner: Person, teammate: Person, admin: Person) -> None:
    make(owner, every=60, name="Tea")
    make(teammate, every=60, name="Milk")
    found = listed(admin, "schedules")
    assert [(each["name"], each["owner"]["username"]) for each in found] == [
        ("Milk", "tariq"),
        ("Tea", "olivia"),
    ]
    assert "email" not in found[0]["owner"]
    for query, names in (
        ({"owner_id": str(owner.id)}, ["Tea"]),
        ({"owner_id": [str(owner.id), str(teammate.id)]}, ["Milk", "Tea"]),
        ({"q": "mil"}, ["Milk"]),
        ({"status": "paused"}, []),
    ):
        assert [each["name"] for each in listed(admin, "schedules", **query)] == names


def test_anybodys_schedule_is_cancelled(owner: Person, admin: Person) -> None:
    schedule = make(owner, every=60)
    path = f"{ADMIN}/schedules/{schedule['id']}/cancel"
    assert admin.post(path, headers={"If-Match": '"v9"'}).status_code == 412
    assert admin.post(path).json["status"] == "cancelled"
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "cancelled"
    assert owner.post(path).status_code == 403


def test_runs_tell_whose_they_are(
    app: Flask, owner: Person, teammate: Person, admin: Person, time: Time
) -> None:
    mine, theirs = make(owner, every=60), make(teammate, every=60)
    time.pass_(seconds=60)
    tick(app)
    owner.post(f"/api/schedules/{mine['id']}/run")
    assert {run["owner"]["username"] for run in listed(admin, "runs")} == {"olivia", "tariq"}
    for query, found in (
        ({"owner_id": str(teammate.id)}, [theirs["id"]]),
        ({"status": "pending"}, [mine["id"]]),
        ({"schedule_id": mine["id"]}, [mine["id"]] * 2),
    ):
        assert [run["schedule_id"] for run in listed(admin, "runs", **query)] == found
    assert {run["owner_id"] for run in listed(admin, "runs")} == {str(owner.id), str(teammate.id)}
    assert len(runs_of(owner, mine)) == 2


def test_cursors_go_through_all_of_them(owner: Person, admin: Person) -> None:
    for number in range(3):
        schedule = make(owner, every=60, name=str(number))
        owner.post(f"/api/schedules/{schedule['id']}/run")
        make_task(owner, title=str(number))
    for what in ("tasks", "schedules", "runs"):
        page = admin.get(f"{ADMIN}/{what}", query_string={"per_page": 2}).json
        rest = admin.get(f"{ADMIN}/{what}", query_string={"cursor": page["next_cursor"]}).json
        ids = {item["id"] for item in (*page["items"], *rest["items"])}
        assert (page["total"], len(ids), rest["next_cursor"]) == (3, 3, None)


def test_who_has_closed_their_account_is_named_as_closed(owner: Person, admin: Person) -> None:
    make(owner, every=60)
    admin.delete(f"{ADMIN}/users/{owner.id}")
    (found,) = listed(admin, "schedules")
    assert (found["name"], found["owner"]["username"]) == ("deleted", f"closed-{owner.id}")
