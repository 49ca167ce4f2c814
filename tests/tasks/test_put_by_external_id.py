"""PUT /api/tasks/by-external-id/{external_id}"""

import pytest
from flask import Flask

from tests.people import Person
from tests.schedules.test_races import at_once, with_own_client
from tests.tasks.making import make_task, path_of, titles

PATH = "/api/tasks/by-external-id/7"


def test_the_first_makes_the_task_and_the_next_changes_it(owner: Person) -> None:
    made = owner.put(PATH, {"title": "Tea", "priority": "low"})
    assert made.status_code == 201
    assert made.headers["Location"] == path_of(made.json)
    assert made.json["external_id"] == "7"
    changed = owner.put(PATH, {"title": "Coffee"})
    assert changed.status_code == 200
    assert (changed.json["id"], changed.json["title"]) == (made.json["id"], "Coffee")
    assert (changed.json["priority"], changed.json["version"]) == ("low", 2)
    assert changed.headers["ETag"] == owner.get(path_of(made.json)).headers["ETag"]


def test_each_has_outside_ids_of_their_own(owner: Person, teammate: Person, admin: Person) -> None:
    make_task(owner, external_id="7", assignee_id=str(teammate.id))
    assert teammate.put(PATH, {"title": "Tea"}).status_code == 201
    assert admin.put(PATH, {"title": "Tea"}).status_code == 201


def test_a_deleted_task_is_not_changed_but_made_anew(owner: Person) -> None:
    first = owner.put(PATH, {"title": "Tea"}).json
    owner.delete(path_of(first))
    second = owner.put(PATH, {"title": "Tea"})
    assert second.status_code == 201
    assert second.json["id"] != first["id"]


@pytest.mark.one_database
@pytest.mark.parametrize("external_id", ["PROJ-7", "a/b/c", "with blank", "Ä", "100%", "a//b", "x" * 200])
def test_any_text_is_an_outside_id_and_a_slash_at_the_end_means_nothing(
    owner: Person, external_id: str
) -> None:
    path = f"/api/tasks/by-external-id/{external_id.replace('%', '%25')}"
    made = owner.put(path, {"title": "Tea"})
    assert (made.status_code, made.json["external_id"]) == (201, external_id)
    assert owner.put(f"{path}/", {"title": "Tea"}).status_code == 200
    assert titles(owner, external_id=external_id) == ["Tea"]


@pytest.mark.one_database
@pytest.mark.parametrize("external_id", ["x" * 201, "a%07b", "%20"])
def test_what_no_task_can_have_is_refused(owner: Person, external_id: str) -> None:
    answer = owner.put(f"/api/tasks/by-external-id/{external_id}", {"title": "Tea"})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["external_id"])


@pytest.mark.one_database
def test_the_body_may_repeat_the_id_but_not_name_another(owner: Person) -> None:
    assert owner.put(PATH, {"title": "Tea", "external_id": "7"}).status_code == 201
    answer = owner.put(PATH, {"title": "Tea", "external_id": "8"})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["external_id"])


@pytest.mark.one_database
def test_a_new_task_needs_a_title(owner: Person) -> None:
    answer = owner.put(PATH, {"priority": "low"})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["title"])


def test_a_change_of_a_version_is_made_to_that_version_only(owner: Person) -> None:
    for tag in ('"v1"', "*"):
        answer = owner.put(PATH, {"title": "Tea"}, headers={"If-Match": tag})
        assert (answer.status_code, answer.json["code"]) == (412, "precondition_failed")
    made = owner.put(PATH, {"title": "Tea"})
    seen = {"If-Match": made.headers["ETag"]}
    assert owner.put(PATH, {"title": "Coffee"}, headers=seen).status_code == 200
    assert owner.put(PATH, {"title": "Milk"}, headers=seen).status_code == 412
    assert owner.put(PATH, {"title": "Milk"}, headers={"If-Match": "*"}).status_code == 200


def test_what_is_only_to_be_made_changes_no_task_that_is_there(owner: Person) -> None:
    new = {"If-None-Match": "*"}
    assert owner.put(PATH, {"title": "Tea"}, headers=new).status_code == 201
    answer = owner.put(PATH, {"title": "Milk"}, headers=new)
    assert (answer.status_code, answer.json["code"]) == (412, "precondition_failed")
    assert owner.get("/api/tasks").json["items"][0]["title"] == "Tea"


def test_of_many_at_once_one_makes_the_task(app: Flask, owner: Person) -> None:
    def put(position: int) -> int:
        body = {"title": f"Tea {position}", "tags": ["home", "garden"]}
        return with_own_client(app, owner).put(PATH, body).status_code

    assert at_once(app, 4, put) == {201: 1, 200: 3}
    task = owner.get("/api/tasks").json["items"]
    assert [(found["version"], len(found["tags"])) for found in task] == [(4, 2)]
