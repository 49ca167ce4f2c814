"""GET /api/tasks/{id}"""

from uuid import UUID

from flask import Flask

from tests.files.making import store
from tests.people import Person, make_person
from tests.settings import settings_changed
from tests.tasks.making import make_task, path_of


def test_its_people_and_admins_see_it_and_nobody_else(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    task = make_task(owner, assignee_id=str(teammate.id))
    for person in (owner, teammate, admin):
        assert person.get(path_of(task)).json == task
    stranger = make_person(app, "sam@example.org")
    unknown = stranger.get("/api/tasks/01999999-0000-7000-8000-000000000000")
    hidden = stranger.get(path_of(task))
    assert (hidden.status_code, hidden.json["code"]) == (404, "task_not_found")
    same = {"type", "title", "status", "detail", "code"}
    assert {name: hidden.json.get(name) for name in same} == {name: unknown.json.get(name) for name in same}


def test_a_team_sees_all_tasks_and_its_people_change_them(
    app: Flask, owner: Person, teammate: Person
) -> None:
    task = make_task(owner)
    with settings_changed(app, team_sees_tasks=True):
        assert teammate.get(path_of(task)).json == task
        assert teammate.get("/api/tasks").json["total"] == 1
        for refused in (
            teammate.patch(path_of(task), {"title": "Mine"}),
            teammate.delete(path_of(task)),
            teammate.post(f"{path_of(task)}/restore"),
        ):
            assert (refused.status_code, refused.json["code"]) == (403, "task_forbidden")
    assert teammate.get(path_of(task)).status_code == 404


def test_who_has_it_already_is_told_so(owner: Person) -> None:
    task = make_task(owner)
    tag = owner.get(path_of(task)).headers["ETag"]
    unchanged = owner.get(path_of(task), headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    owner.patch(path_of(task), {"title": "Tea"})
    assert owner.get(path_of(task), headers={"If-None-Match": tag}).status_code == 200


def test_it_shows_the_files_that_are_attached(app: Flask, owner: Person) -> None:
    task = make_task(owner)
    tag = owner.get(path_of(task)).headers["ETag"]
    file_id = store(owner, task_id=UUID(task["id"]))
    shown = owner.get(path_of(task), headers={"If-None-Match": tag})
    assert [file["id"] for file in shown.json["files"]] == [str(file_id)]
    assert shown.json["file_count"] == 1
    # An edit of the version that was seen before is not void.
    edited = owner.patch(path_of(task), {"title": "Tea"}, headers={"If-Match": tag})
    assert edited.status_code == 200
