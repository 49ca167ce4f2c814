"""POST /api/files and /api/files/raw: what comes in is kept as it is, once."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.core.incoming import BLOCK_BYTES
from taskapi.files.models import StoredFile
from tests.files.uploading import (
    END,
    PNG,
    TEXT,
    assert_nothing_kept,
    counted,
    download,
    incoming_files,
    objects_left,
    part,
    post_form,
    send,
    upload,
    upload_raw,
)
from tests.people import Person
from tests.settings import settings_changed

SHA256 = hashlib.sha256(TEXT).hexdigest()
pytestmark = pytest.mark.usefixtures("empty_store")
Upload = Callable[..., Any]
one_database = pytest.mark.one_database


@pytest.mark.parametrize("send_it", [upload, upload_raw])
def test_what_was_uploaded_is_what_comes_back(app: Flask, owner: Person, send_it: Upload) -> None:
    answer = send_it(owner)
    assert answer.status_code == 201, answer.text
    file = answer.json
    assert answer.headers["Location"] == f"/api/files/{file['id']}"
    assert answer.headers["ETag"] == owner.get(f"/api/files/{file['id']}").headers["ETag"]
    assert (file["filename"], file["content_type"]) == ("list.txt", "text/plain")
    assert (file["size"], file["sha256"], file["task_id"]) == (len(TEXT), SHA256, None)
    assert file["owner_id"] == str(owner.id)
    assert download(owner, file) == TEXT
    assert counted(app) == (1, 0, len(TEXT))
    assert incoming_files(app) == []


def test_the_declared_type_means_nothing(owner: Person) -> None:
    answer = upload_raw(owner, PNG, "dot.png", content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.json["content_type"]) == (201, "image/png")
    answer = upload_raw(owner, TEXT, content_type="multipart/form-data; boundary=x")
    assert (answer.status_code, answer.json["sha256"]) == (201, SHA256)


def test_an_event_tells_of_it(app: Flask, owner: Person) -> None:
    file = upload(owner).json
    with app.app_context():
        event = session().scalars(sa.select(Event).where(Event.type == "file.created")).one()
    assert (event.subject_id, event.owner_id, event.actor_id) == (UUID(file["id"]), owner.id, owner.id)
    assert event.after == {"filename": "list.txt", "size": len(TEXT), "sha256": SHA256}


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
def test_each_block_has_its_hash(app: Flask, owner: Person, size: int) -> None:
    content = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
    file = upload(owner, content).json
    with app.app_context():
        blocks = session().scalar(sa.select(StoredFile.blocks))
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    expected = [content[at : at + BLOCK_BYTES] for at in range(0, size, BLOCK_BYTES)]
    assert blocks == b"".join(hashlib.sha256(block).digest() for block in expected)


@one_database
@pytest.mark.parametrize("claim", [SHA256, SHA256.upper()])
def test_the_right_hash_is_accepted_in_any_case(owner: Person, claim: str) -> None:
    assert upload(owner, form={"sha256": claim}).status_code == 201
    assert upload_raw(owner, query={"sha256": claim}).status_code == 201


def test_another_hash_is_refused_and_nothing_kept(app: Flask, owner: Person) -> None:
    for answer in (upload(owner, form={"sha256": "0" * 64}), upload_raw(owner, query={"sha256": "0" * 64})):
        assert (answer.status_code, answer.json["code"]) == (422, "hash_mismatch")
        assert SHA256 in answer.json["errors"]["sha256"][0]
    assert_nothing_kept(app)


FIELD = part('name="sha256"', SHA256.encode())
FILE = part('name="file"; filename="a.txt"')
FORMS = {
    "no file": (FIELD + END, "file"),
    "no part": (END, "file"),
    "two files": (FILE + FILE + END, "file"),
    "two hashes": (FIELD + FIELD + FILE + END, "sha256"),
    "a hash that is none": (FILE + part('name="sha256"', b"abc") + END, "sha256"),
    "a hash as a file": (part('name="sha256"; filename="a.txt"') + FILE + END, "sha256"),
    "a file without a name": (part('name="file"') + END, "file"),
    "a file with an empty name": (part('name="file"; filename=""') + END, "file"),
    "an unknown field": (part('name="task_id"', b"1") + FILE + END, "task_id"),
    "an unknown file": (part('name="other"; filename="a.txt"') + END, "other"),
    "a part without a name": (part("a=b") + FILE + END, "body"),
}


@one_database
@pytest.mark.parametrize("name", FORMS)
def test_a_form_holds_one_file_and_perhaps_its_hash(app: Flask, owner: Person, name: str) -> None:
    body, field = FORMS[name]
    answer = post_form(owner, body)
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field]), answer.text
    assert_nothing_kept(app)


@one_database
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (FILE + END, "multipart/form-data"),
        (FILE + END, "multipart/form-data; boundary="),
        (FILE + END, f"multipart/form-data; boundary={'x' * 201}"),
        (FILE + END, "multipart/form-data; boundary=another"),
        (FILE, None),
        (FILE[:60], None),
        (b"", None),
        (b"--" + b"\r\n" * 9, None),
        (FILE.replace(b"Content-Disposition", b"X-Other") + END, None),
        (FILE.replace(b"a.txt", b"\xff.txt") + END, None),
    ],
)
def test_a_form_that_is_none_is_refused(app: Flask, owner: Person, body: bytes, kind: str | None) -> None:
    options = {"content_type": kind} if kind else {}
    answer = post_form(owner, body, **options)
    assert (answer.status_code, answer.json["code"]) == (400, "malformed_form"), answer.text
    assert_nothing_kept(app)


@one_database
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
def test_another_media_type_than_a_form_is_refused(owner: Person, kind: str) -> None:
    answer = post_form(owner, b"{}", content_type=kind)
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


@one_database
@pytest.mark.parametrize("send_it", [upload, upload_raw])
def test_a_content_coding_is_refused(app: Flask, owner: Person, send_it: Upload) -> None:
    answer = send_it(owner, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")
    assert_nothing_kept(app)


@one_database
def test_unknown_query_parameters_are_refused(owner: Person) -> None:
    assert upload(owner, query_string={"task_id": "1"}).json["errors"] == {"task_id": ["Unknown field."]}
    answer = upload_raw(owner, query={"file_name": "a"})
    assert answer.json["errors"] == {"file_name": ["Unknown field. Did you mean 'filename'?"]}
    assert list(send(owner, "/api/files/raw", TEXT).json["errors"]) == ["filename"]
    twice = "/api/files/raw?filename=a.txt&filename=b.txt"
    assert send(owner, twice, TEXT).json["errors"] == {"filename": ["Send it once."]}


def test_a_repeated_key_gives_the_first_answer_and_no_second_file(app: Flask, owner: Person) -> None:
    key = {"Idempotency-Key": "k1"}
    for send_it in (upload, upload_raw):
        first, again = send_it(owner, headers=key), send_it(owner, headers=key)
        assert (first.status_code, first.data) == (again.status_code, again.data) == (201, first.data)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.headers["Location"] == first.headers["Location"]
        other = send_it(owner, b"Other words.", headers=key)
        assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")
        renamed = send_it(owner, filename="other.txt", headers=key)
        assert (renamed.status_code, renamed.json["code"]) == (422, "idempotency_key_reused")
    assert (counted(app)[0], counted(app)[2]) == (2, 2 * len(TEXT))
    assert objects_left(app) == set()


def test_the_same_key_at_once_makes_one_file(app: Flask, owner: Person) -> None:
    def try_once(_number: int) -> int:
        return upload(owner, headers={"Idempotency-Key": "k1"}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(try_once, range(4))) == {201}
    assert (counted(app)[0], counted(app)[2]) == (1, len(TEXT))
    assert objects_left(app) == set()


QUOTA = 5 * len(TEXT)


def test_uploads_at_once_do_not_pass_the_quota(app: Flask, owner: Person) -> None:
    def try_once(number: int) -> int:
        return (upload if number % 2 else upload_raw)(owner).status_code

    with settings_changed(app, file_quota=QUOTA), ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(try_once, range(20)))
    assert statuses == [201] * 5 + [507] * 15
    files, _announced, size = counted(app)
    assert (files, size) == (5, QUOTA)
    assert incoming_files(app) == []
    assert objects_left(app) == set()


def test_what_cannot_fit_is_refused_before_it_is_read(app: Flask, owner: Person) -> None:
    with settings_changed(app, file_quota=len(TEXT)):
        assert upload_raw(owner).status_code == 201
        answer = upload_raw(owner, b"x")
        assert (answer.status_code, answer.json["code"]) == (507, "quota_exceeded")
        assert "21 of your 21 bytes" in answer.json["detail"]
        empty = upload(owner, b"")
    assert empty.status_code == 201
    assert counted(app) == (2, 0, len(TEXT))


@pytest.mark.parametrize("send_it", [upload, upload_raw])
def test_a_repetition_is_answered_though_nothing_fits_any_more(
    app: Flask, owner: Person, send_it: Upload
) -> None:
    key = {"Idempotency-Key": "k1"}
    with settings_changed(app, file_quota=len(TEXT)):
        assert [send_it(owner, headers=key).status_code for _ in range(2)] == [201, 201]
        answer = send_it(owner, headers={"Idempotency-Key": "k2"})
    assert (answer.status_code, answer.json["code"]) == (507, "quota_exceeded")
    assert (counted(app)[0], counted(app)[2]) == (1, len(TEXT))
    assert objects_left(app) == set()


def test_without_a_quota_everything_fits(app: Flask, owner: Person) -> None:
    with settings_changed(app, file_quota=0):
        assert upload(owner).status_code == 201
