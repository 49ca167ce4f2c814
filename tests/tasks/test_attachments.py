"""Files of a task: attached, listed, downloaded and deleted, by whom they may be."""

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from flask import Flask

from taskapi.core.db import transaction
from taskapi.tasks.editing import update_task
from tests.files.uploading import (
    BOUNDARY,
    END,
    PNG,
    TEXT,
    assert_nothing_kept,
    counted,
    incoming_files,
    objects_left,
    part,
    send,
    upload,
)
from tests.people import Person
from tests.settings import settings_changed
from tests.tasks.making import make_task, path_of

if TYPE_CHECKING:
    from tests.people import Answer


def files_of(task: dict[str, Any]) -> str:
    return f"{path_of(task)}/files"


def attach(person: Person, task: dict[str, Any], *files: tuple[str, bytes], **options: Any) -> "Answer":
    parts = [part(f'name="file"; filename="{name}"', content) for name, content in files]
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return send(person, files_of(task), b"".join([*parts, END]), content_type=kind, **options)


def attached(person: Person, task: dict[str, Any], name: str = "list.txt") -> dict[str, Any]:
    answer = attach(person, task, (name, TEXT))
    assert answer.status_code == 201, answer.text
    file: dict[str, Any] = answer.json["items"][0]
    return file


def path_to(file: dict[str, Any]) -> str:
    return f"/api/tasks/{file['task_id']}/files/{file['id']}"


def code(answer: "Answer") -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


@pytest.fixture
def small(empty_store: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An installation that takes a few bytes a file, and not many of a user."""
    settings = replace(empty_store.extensions["taskapi_settings"], max_file_size=40, file_quota=60)
    monkeypatch.setitem(empty_store.extensions, "taskapi_settings", settings)
    return empty_store


def test_several_files_are_attached_at_once(owner: Person, task: dict[str, Any]) -> None:
    answer = attach(owner, task, ("a.txt", b"one"), ("b.png", PNG))
    assert (answer.status_code, answer.headers["Location"]) == (201, files_of(task))
    first, second = answer.json["items"]
    assert first == {"status": 201, **owner.get(f"/api/files/{first['id']}").json}
    assert [(file["filename"], file["content_type"]) for file in (first, second)] == [
        ("a.txt", "text/plain"),
        ("b.png", "image/png"),
    ]
    assert {(file["task_id"], file["owner_id"]) for file in (first, second)} == {(task["id"], str(owner.id))}
    shown = owner.get(path_of(task)).json
    assert (shown["file_count"], [file["id"] for file in shown["files"]]) == (2, [first["id"], second["id"]])


def test_a_file_that_is_refused_leaves_the_others_alone(
    empty_store: Flask, owner: Person, task: dict[str, Any]
) -> None:
    answer = attach(owner, task, ("a.txt", TEXT), ("b.exe", b"MZ\x90\x00"), ("\u202e", TEXT), ("c.md", TEXT))
    assert answer.status_code == 207
    outcomes = [(item["status"], item["filename"], item.get("code")) for item in answer.json["items"]]
    assert outcomes == [
        (201, "a.txt", None),
        (415, "b.exe", "file_type_not_allowed"),
        (422, "\u202e", "validation_error"),
        (201, "c.md", None),
    ]
    assert answer.json["items"][1].keys() == {"status", "filename", "code", "detail"}
    assert owner.get(files_of(task)).json["total"] == 2
    assert (incoming_files(empty_store), objects_left(empty_store)) == ([], set())


def test_what_is_too_large_or_does_not_fit_leaves_the_others_alone(
    small: Flask, owner: Person, task: dict[str, Any]
) -> None:
    answer = attach(owner, task, *((f"{n}.txt", b"x" * size) for n, size in enumerate((30, 41, 40, 30))))
    assert [(item["status"], item.get("code")) for item in answer.json["items"]] == [
        (201, None),
        (413, "file_too_large"),
        (507, "quota_exceeded"),
        (201, None),
    ]
    assert counted(small)[::2] == (2, 60)
    assert objects_left(small) == set()


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ([("a.exe", b"MZ\x90\x00"), ("b.txt", b"\xff\xfe\x00")], (415, "file_type_not_allowed")),
        ([("a.txt", b"x" * 41)], (413, "file_too_large")),
        ([], (422, "validation_error")),
        ([(f"{n}.txt", b"x") for n in range(21)], (422, "validation_error")),
    ],
    ids=["types", "size", "none", "too many"],
)
def test_when_nothing_is_attached_the_answer_is_the_first_problem(
    small: Flask,
    owner: Person,
    task: dict[str, Any],
    files: list[tuple[str, bytes]],
    problem: tuple[int, str],
) -> None:
    assert code(attach(owner, task, *files)) == problem
    assert_nothing_kept(small)


def test_nothing_is_read_for_a_task_that_the_sender_does_not_see(
    empty_store: Flask, stranger: Person, task: dict[str, Any]
) -> None:
    assert code(attach(stranger, task, ("a.txt", TEXT))) == (404, "task_not_found")
    assert code(send(stranger, files_of(task), b"no form")) == (404, "task_not_found")
    assert_nothing_kept(empty_store)


def test_the_sender_who_loses_the_task_meanwhile_attaches_nothing(
    empty_store: Flask, owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    class Slow(io.BytesIO):
        """A body, in whose middle the task is given to somebody else."""

        def readinto(self, buffer: Any) -> int:
            # No request: one inside of another shares its caller.
            with transaction():
                update_task(actor=owner.actor, task_id=UUID(task["id"]), changes={"assignee_id": None})
            return super().readinto(buffer)

    kind = f"multipart/form-data; boundary={BOUNDARY}"
    body = part('name="file"; filename="a.txt"') + END
    answer = send(teammate, files_of(task), b"", stream=Slow(body), announced=len(body), content_type=kind)
    assert code(answer) == (404, "task_not_found")
    assert_nothing_kept(empty_store)


def test_who_sees_the_task_downloads_its_files(
    owner: Person, teammate: Person, admin: Person, stranger: Person, task: dict[str, Any]
) -> None:
    file = attached(owner, task)
    for person in (owner, teammate, admin):
        answer = person.get(path_to(file), buffered=True)
        assert (answer.data, answer.headers["ETag"]) == (TEXT, f'"{file["sha256"]}"')
        assert "attachment" in answer.headers["Content-Disposition"]
        assert person.get(f"/api/files/{file['id']}/content", buffered=True).data == TEXT
        assert [item["id"] for item in person.get(files_of(task)).json["items"]] == [file["id"]]
    part_of_it = teammate.get(path_to(file), headers={"Range": "bytes=0-3"}, buffered=True)
    assert (part_of_it.status_code, part_of_it.data) == (206, TEXT[:4])
    assert code(stranger.get(path_to(file))) == code(stranger.get(files_of(task))) == (404, "task_not_found")
    assert code(stranger.get(f"/api/files/{file['id']}")) == (404, "file_not_found")


def test_a_file_is_found_under_its_own_task_alone(owner: Person, task: dict[str, Any]) -> None:
    file, other = attached(owner, task), make_task(owner)
    loose = upload(owner).json
    for path in (f"{files_of(other)}/{file['id']}", f"{files_of(task)}/{loose['id']}"):
        assert code(owner.get(path)) == code(owner.delete(path)) == (404, "file_not_found")


def test_its_sender_the_creator_of_the_task_or_an_administrator_deletes_a_file(
    app: Flask, owner: Person, teammate: Person, admin: Person, task: dict[str, Any]
) -> None:
    of_owner, *of_teammate = attached(owner, task), *(attached(teammate, task) for _ in range(3))
    assert code(teammate.delete(path_to(of_owner))) == (403, "file_forbidden")
    assert code(teammate.delete(f"/api/files/{of_owner['id']}")) == (403, "file_forbidden")
    assert teammate.delete(path_to(of_teammate[0])).status_code == 204
    assert owner.delete(path_to(of_teammate[1])).status_code == 204
    assert admin.delete(path_to(of_teammate[2])).status_code == 204
    assert owner.delete(f"/api/files/{of_owner['id']}").status_code == 204
    assert owner.get(path_of(task)).json["file_count"] == 0
    assert counted(app)[::2] == (0, 0)


def test_files_of_a_deleted_task_stay_their_senders(
    owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    file = attached(teammate, task)
    owner.delete(path_of(task))
    assert code(teammate.get(path_to(file))) == (404, "task_not_found")
    assert code(owner.get(f"/api/files/{file['id']}")) == (404, "file_not_found")
    assert teammate.get(f"/api/files/{file['id']}").status_code == 200
    owner.post(f"{path_of(task)}/restore")
    assert owner.get(path_to(file), buffered=True).status_code == 200


def test_lists_tell_of_a_colleagues_file_at_once(
    owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    def count() -> int:
        found: int = owner.get("/api/tasks").json["items"][0]["file_count"]
        return found

    assert count() == 0
    file = attached(teammate, task)
    assert count() == 1
    teammate.delete(path_to(file))
    assert count() == 0


def test_files_that_are_sent_twice_with_a_key_are_attached_once(owner: Person, task: dict[str, Any]) -> None:
    files, key = [("a.txt", TEXT), ("b.exe", b"MZ")], {"Idempotency-Key": "one"}
    answers = [attach(owner, task, *files, headers=key) for _ in range(2)]
    assert answers[0].status_code == answers[1].status_code == 207
    assert answers[0].json == answers[1].json
    assert owner.get(files_of(task)).json["total"] == 1
    assert code(attach(owner, task, ("a.txt", b"other"), headers=key)) == (422, "idempotency_key_reused")


@pytest.mark.one_database
def test_who_only_sees_a_task_attaches_nothing(
    app: Flask, owner: Person, stranger: Person, task: dict[str, Any]
) -> None:
    file = attached(owner, task)
    with settings_changed(app, team_sees_tasks=True):
        assert code(attach(stranger, task, ("list.txt", TEXT))) == (403, "task_forbidden")
        assert stranger.get(path_to(file)).data == TEXT
    assert code(attach(stranger, task, ("list.txt", TEXT))) == (404, "task_not_found")
    assert owner.get(files_of(task)).json["total"] == 1
