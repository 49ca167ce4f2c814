"""On older paths, requests may say things in the words of older systems; elsewhere they may not."""

from typing import Any

import pytest

from taskapi.core.ids import new_id
from tests.people import Person

pytestmark = pytest.mark.one_database
LATER = "2030-01-01T09:00:00Z"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (True, "todo"),
        (False, "done"),
        ("pending", "todo"),
        ("completed", "done"),
        ("IN_PROGRESS", "in_progress"),
    ],
)
def test_a_task_is_made_from_older_fields(owner: Person, said: Any, status: str) -> None:
    asked = {
        "task_name": "Tea",
        "description": "Green",
        "status": said,
        "priority": "HIGH",
        "assigned_user_id": str(owner.id),
        "user_id": 1,
    }
    made = owner.post("/api/task", asked).json
    assert (made["title"], made["status"], made["priority"]) == ("Tea", status, "high")
    assert (made["assignee_id"], made["creator_id"]) == (str(owner.id), str(owner.id))


def test_a_task_that_was_read_may_be_sent_back(owner: Person) -> None:
    made = owner.post("/tasks", {"title": "Tea", "city": None}).json
    whole = {name: made[name] for name in ("id", "description", "status", "city", "weather", "created_at")}
    changed = owner.put(f"/tasks/{made['id']}", {**whole, "title": "Coffee", "user_id": 1})
    assert (changed.status_code, changed.json["title"]) == (200, "Coffee")


def test_filters_are_read_in_older_words(owner: Person) -> None:
    for title, status in (("Tea", "todo"), ("Milk", "done")):
        owner.post("/api/tasks", {"title": title, "status": status, "assignee_id": str(owner.id)})
    for query, title in (("status=pending", "Tea"), ("status=completed", "Milk")):
        found = owner.get(f"/tasks?assigned_to={owner.id}&{query}").json["items"]
        assert [task["title"] for task in found] == [title]


def test_what_an_action_needs_may_stand_beside_the_other_fields(owner: Person) -> None:
    asked = {"task_type": "Cleanup", "schedule_time": LATER, "older_than_days": 30}
    made = owner.post("/tasks/schedule", asked).json
    assert (made["action"], made["params"]["older_than_days"]) == ("file_cleanup", 30)


def test_a_cleanup_is_never_guessed_at(owner: Person) -> None:
    refused = owner.post("/schedule", {"task_type": "file_cleanup", "schedule_time": LATER})
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["params.older_than_days"])


@pytest.mark.parametrize(
    "asked",
    [
        [],
        {"task_type": ["reminder"], "params": ["message"]},
        {"task_type": {}, "params": None, "schedule_time": 1},
        {"title": {}, "status": {"a": [None]}},
    ],
    ids=["list", "lists", "objects", "status"],
)
def test_nonsense_is_refused(owner: Person, asked: Any) -> None:
    for path in ("/schedule", "/api/task"):
        assert owner.post(path, asked).status_code == 422
    assert owner.put(f"/api/task/{new_id()}", asked).status_code in (404, 422)


def test_a_field_by_two_of_its_names_is_refused(owner: Person) -> None:
    answer = owner.post("/api/task", {"title": "Tea", "task_name": "Coffee"})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["task_name"])


def test_what_is_no_json_is_refused_as_under_our_path(owner: Person) -> None:
    for body, headers, status in (
        ("{", {"Content-Type": "application/json"}, 400),
        ('{"a": 1, "a": 2}', {"Content-Type": "application/json"}, 400),
        ("{}", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ("a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ('"' + "x" * 1_048_576 + '"', {"Content-Type": "application/json"}, 413),
    ):
        told = [owner.call("POST", path, data=body, headers=headers) for path in ("/api/task", "/api/tasks")]
        assert [answer.status_code for answer in told] == [status, status]


def test_our_own_paths_do_not_know_older_words(owner: Person) -> None:
    assert owner.post("/api/tasks", {"task_name": "Tea"}).status_code == 422
    assert owner.post("/api/tasks", {"title": "Tea", "status": True}).status_code == 422


def test_an_odd_query_is_left_as_it_came(owner: Person) -> None:
    assert owner.get("/tasks?q=%FF").status_code == owner.get("/api/tasks?q=%FF").status_code
    assert owner.get("/tasks?task_name=Tea").status_code == 422
