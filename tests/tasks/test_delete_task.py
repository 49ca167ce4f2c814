"""DELETE /api/tasks/{id} and POST /api/tasks/{id}/restore"""

from uuid import UUID

from flask import Flask

from tests.files.making import row_of, store
from tests.people import Person, make_person
from tests.tasks.making import make_task, path_of, titles


def test_a_deleted_task_is_nowhere_and_comes_back_whole(owner: Person, teammate: Person) -> None:
    task = make_task(owner, assignee_id=str(teammate.id), tags=["home"], external_id="7")
    assert owner.delete(path_of(task)).status_code == 204
    for person in (owner, teammate):
        assert person.get(path_of(task)).status_code == 404
        assert person.get("/api/tasks").json["total"] == 0
        assert titles(person, q="water") == []
    assert owner.patch(path_of(task), {"title": "Tea"}).status_code == 404
    assert owner.delete(path_of(task)).status_code == 404
    restored = owner.post(f"{path_of(task)}/restore")
    assert (restored.status_code, restored.json) == (
        200,
        {**task, "version": 3, "updated_at": restored.json["updated_at"]},
    )
    assert restored.json["updated_at"] >= task["updated_at"]
    assert teammate.get(path_of(task)).json == restored.json
    assert titles(owner, q="water") == ["Water the plants"]


def test_only_its_creator_and_admins_delete_and_restore_it(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    task = make_task(owner, assignee_id=str(teammate.id))
    for answer in (teammate.delete(path_of(task)), teammate.post(f"{path_of(task)}/restore")):
        assert (answer.status_code, answer.json["code"]) == (403, "task_forbidden")
    stranger = make_person(app, "sam@example.org")
    for answer in (stranger.delete(path_of(task)), stranger.post(f"{path_of(task)}/restore")):
        assert (answer.status_code, answer.json["code"]) == (404, "task_not_found")
    assert admin.delete(path_of(task)).status_code == 204
    assert teammate.post(f"{path_of(task)}/restore").status_code == 404
    assert admin.post(f"{path_of(task)}/restore").status_code == 200


def test_what_is_not_deleted_is_not_restored(owner: Person) -> None:
    answer = owner.post(f"{path_of(make_task(owner))}/restore")
    assert (answer.status_code, answer.json["code"]) == (409, "task_not_deleted")


def test_only_the_version_that_was_seen_is_deleted(owner: Person) -> None:
    task = make_task(owner)
    seen = {"If-Match": owner.get(path_of(task)).headers["ETag"]}
    owner.patch(path_of(task), {"title": "Tea"})
    assert owner.delete(path_of(task), headers=seen).status_code == 412
    assert owner.delete(path_of(task), headers={"If-Match": '"v2"'}).status_code == 204


def test_only_admins_list_deleted_tasks(owner: Person, admin: Person) -> None:
    make_task(owner, title="Tea")
    owner.delete(path_of(make_task(owner, title="Coffee")))
    refused = owner.get("/api/tasks?deleted=true")
    assert (refused.status_code, refused.json["code"]) == (403, "admin_only")
    assert titles(admin, deleted="true") == ["Coffee"]
    assert titles(admin) == ["Tea"]


def test_its_files_stay(app: Flask, owner: Person) -> None:
    task = make_task(owner)
    file_id = store(owner, task_id=UUID(task["id"]))
    owner.delete(path_of(task))
    assert row_of(app, file_id) is not None
    assert owner.post(f"{path_of(task)}/restore").json["file_count"] == 1
