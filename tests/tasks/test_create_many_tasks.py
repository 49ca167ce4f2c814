"""POST /api/tasks/bulk"""

from typing import Any

import pytest
from flask import Flask

from tests.people import Person
from tests.schedules.test_races import at_once, with_own_client
from tests.tasks.making import make_task, titles

NOBODY = "01999999-0000-7000-8000-000000000000"
RIGHT = {"title": "Tea"}
WRONG: list[Any] = [
    {"title": ""},
    "Tea",
    None,
    {"title": "Tea", "assignee_id": NOBODY},
    {"title": "Tea", "tags": ["home", NOBODY]},
    {"title": "Tea", "external_id": "taken"},
    {"title": "Tea", "colour": "red"},
]
PATHS = ["1.title", "2", "3", "4.assignee_id", "5.tags", "6.external_id", "7.colour"]


def test_all_are_made_in_their_order(owner: Person, teammate: Person) -> None:
    tasks: list[dict[str, Any]] = [
        {"title": "a", "tags": ["home", "garden"], "status": "done"},
        {"title": "b", "assignee_id": str(teammate.id), "external_id": "7", "tags": ["HOME"]},
    ]
    answer = owner.post("/api/tasks/bulk", {"tasks": tasks})
    assert (answer.status_code, answer.headers["Location"]) == (201, "/api/tasks")
    items = answer.json["items"]
    assert [item["title"] for item in items] == ["a", "b"]
    assert items[1]["tags"][0] in items[0]["tags"]
    assert items == owner.get("/api/tasks?sort=created_at").json["items"]
    assert titles(teammate) == ["b"]


def test_one_that_is_wrong_stops_all_and_each_is_told_of(owner: Person) -> None:
    make_task(owner, external_id="taken")
    answer = owner.post("/api/tasks/bulk", {"tasks": [RIGHT, *WRONG]})
    assert (answer.status_code, list(answer.json["errors"])) == (422, [f"tasks.{path}" for path in PATHS])
    assert owner.get("/api/tasks").json["total"] == 1


def test_partial_makes_those_that_are_right(owner: Person) -> None:
    make_task(owner, external_id="taken")
    same = [{"title": "Milk", "external_id": "7"}] * 2
    answer = owner.post("/api/tasks/bulk?partial=true", {"tasks": [RIGHT, *WRONG, *same]})
    assert answer.status_code == 200
    items = answer.json["items"]
    assert [item["index"] for item in items] == list(range(10))
    assert [item["status"] for item in items] == [201, *[422] * 7, 201, 422]
    assert items[0]["task"]["title"] == "Tea"
    assert list(items[9]["errors"]) == ["external_id"]
    assert sorted(titles(owner)) == ["Milk", "Tea", "Water the plants"]


@pytest.mark.one_database
@pytest.mark.parametrize("body", [{}, {"tasks": []}, {"tasks": {}}, {"tasks": [RIGHT] * 1001}, [RIGHT]])
def test_what_is_no_list_of_1_to_1000_is_refused(owner: Person, body: Any) -> None:
    assert owner.post("/api/tasks/bulk", body).status_code == 422


def test_a_thousand_take_few_statements(owner: Person, teammate: Person, statements: list[str]) -> None:
    task = {"description": "Slowly", "assignee_id": str(teammate.id)}
    tasks = [{**task, "title": f"{number}", "tags": [f"{number % 300}", "all"]} for number in range(1000)]
    statements.clear()
    answer = owner.post("/api/tasks/bulk", {"tasks": tasks})
    assert answer.status_code == 201
    assert len(statements) < 60
    assert owner.get("/api/tasks?tag=all").json["total"] == 1000
    assert [tag["name"] for tag in answer.json["items"][7]["tags"]] == ["7", "all"]


def test_more_names_of_tags_than_a_statement_holds_are_found(owner: Person) -> None:
    tasks = [
        {"title": "Tea", "tags": [f"{number} {place}" for place in range(50)]} for number in range(20)
    ] * 2
    answer = owner.post("/api/tasks/bulk", {"tasks": tasks})
    assert answer.status_code == 201
    assert {len(task["tags"]) for task in answer.json["items"]} == {50}


def test_more_new_tags_than_a_request_may_make_are_refused(owner: Person) -> None:
    def send(path: str, first: int, count: int) -> Any:
        names = [f"{number}" for number in range(first, first + count)]
        tasks = [{"title": "Tea", "tags": names[place : place + 40]} for place in range(0, count, 40)]
        return owner.post(path, {"tasks": tasks})

    for path in ("/api/tasks/bulk", "/api/tasks/bulk?partial=true"):
        answer = send(path, 0, 1_001)
        assert (answer.status_code, list(answer.json["errors"])) == (422, ["tasks"])
    assert owner.get("/api/tags").json["total"] == 0
    assert send("/api/tasks/bulk", 0, 1_000).status_code == 201
    # What there is already is not counted.
    assert send("/api/tasks/bulk", 500, 1_500).status_code == 201


def test_the_same_key_makes_them_once(owner: Person) -> None:
    headers = {"Idempotency-Key": "once"}
    first = owner.post("/api/tasks/bulk", {"tasks": [RIGHT]}, headers=headers)
    again = owner.post("/api/tasks/bulk", {"tasks": [RIGHT]}, headers=headers)
    assert (again.status_code, again.json) == (201, first.json)
    assert owner.get("/api/tasks").json["total"] == 1


def test_the_same_many_at_once_are_made_once(app: Flask, owner: Person) -> None:
    tasks = [{"title": f"{number}", "external_id": f"{number}", "tags": ["a", "b"]} for number in range(5)]

    def post(position: int) -> int:
        some = tasks[position:] + tasks[:position]
        return with_own_client(app, owner).post("/api/tasks/bulk", {"tasks": some}).status_code

    answers = at_once(app, 4, post)
    assert answers[201] == 1
    assert answers[409] + answers[422] == 3
    assert owner.get("/api/tasks").json["total"] == 5
