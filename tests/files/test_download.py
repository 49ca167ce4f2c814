"""GET and HEAD /api/files/{id}/content"""

import hashlib
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
import sqlalchemy as sa
import urllib3
from flask import Flask

from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import Reader, StorageUnavailable
from taskapi.clients.storage.disk import DiskStorage
from taskapi.clients.storage.s3 import S3Storage
from taskapi.core.db import db, session
from taskapi.core.events import Event
from taskapi.core.incoming import BLOCK_BYTES
from taskapi.files.errors import FileDamaged
from taskapi.files.sending import disposition
from tests.files.making import CONTENT, key_of, replace_object, row_of, store
from tests.people import Person
from tests.s3 import new_bucket

if TYPE_CHECKING:
    from tests.people import Answer

SHA256 = hashlib.sha256(CONTENT).hexdigest()
# Two and a half blocks, no two alike.
LARGE = b"".join(number.to_bytes(4) for number in range(BLOCK_BYTES * 5 // 8))


def download(
    person: Person, file_id: UUID, method: str = "GET", *, buffered: bool = True, **headers: str
) -> "Answer":
    """Buffered, the content is read and closed; else it can be watched coming."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return person.call(method, f"/api/files/{file_id}/content", headers=named, buffered=buffered)


def damage_events(app: Flask) -> list[Any]:
    with app.app_context():
        statement = sa.select(Event.after).where(Event.type == "file.damaged")
        return [after["damage"] for after in session().scalars(statement)]


def test_what_was_uploaded_comes_back_as_something_to_save(owner: Person) -> None:
    answer = download(owner, store(owner))
    assert (answer.status_code, answer.data) == (200, CONTENT)
    expected = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": 'attachment; filename="notes.txt"',
        "Content-Length": str(len(CONTENT)),
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
        "Content-Type": "text/plain; charset=utf-8",
        "Cross-Origin-Resource-Policy": "same-origin",
        "ETag": f'"{SHA256}"',
        "X-Content-Type-Options": "nosniff",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert "Last-Modified" in answer.headers


def test_a_head_tells_the_same_without_the_content(owner: Person) -> None:
    file_id = store(owner)
    told, got = download(owner, file_id, "HEAD", Range="bytes=0-3"), download(owner, file_id)
    assert (told.status_code, told.data) == (200, b"")
    changing = {"X-Request-ID", "Date"}
    assert {**told.headers, **dict.fromkeys(changing)} == {**got.headers, **dict.fromkeys(changing)}


def test_another_type_than_text_has_no_charset(owner: Person) -> None:
    answer = download(owner, store(owner, content_type="application/json"))
    assert answer.headers["Content-Type"] == "application/json"


def test_an_empty_file_is_empty(owner: Person) -> None:
    answer = download(owner, store(owner, b""))
    assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (200, b"", "0")


@pytest.mark.parametrize("size", [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, len(LARGE)])
@pytest.mark.one_database
def test_a_file_of_several_blocks_comes_back(owner: Person, size: int) -> None:
    assert download(owner, store(owner, LARGE[:size])).data == LARGE[:size]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("0-0", 0, 1),
        (f"{BLOCK_BYTES - 2}-{BLOCK_BYTES + 1}", BLOCK_BYTES - 2, BLOCK_BYTES + 2),
        (f"{BLOCK_BYTES}-{2 * BLOCK_BYTES - 1}", BLOCK_BYTES, 2 * BLOCK_BYTES),
        (f"{2 * BLOCK_BYTES + 7}-", 2 * BLOCK_BYTES + 7, len(LARGE)),
        ("-5", len(LARGE) - 5, len(LARGE)),
    ],
)
def test_a_part_is_that_part(owner: Person, asked: str, start: int, end: int) -> None:
    answer = download(owner, store(owner, LARGE), Range=f"bytes={asked}")
    assert (answer.status_code, answer.data) == (206, LARGE[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(LARGE)}"
    assert answer.headers["Content-Length"] == str(end - start)
    assert "ETag" in answer.headers


def test_a_range_beyond_the_end_is_a_problem(owner: Person) -> None:
    answer = download(owner, store(owner), Range=f"bytes={len(CONTENT)}-")
    assert (answer.status_code, answer.json["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.one_database
@pytest.mark.parametrize("asked", ["lines=0-1", "bytes=x", "bytes=0-1,4-5"])
def test_a_range_that_is_not_understood_is_ignored(owner: Person, asked: str) -> None:
    answer = download(owner, store(owner), Range=asked)
    assert (answer.status_code, answer.data) == (200, CONTENT)


def test_a_part_is_only_sent_of_the_content_that_the_client_knows(owner: Person) -> None:
    file_id = store(owner)
    modified = download(owner, file_id).headers["Last-Modified"]
    conditions = {
        f'"{SHA256}"': 206,
        modified: 206,
        f'W/"{SHA256}"': 200,
        '"another"': 200,
        "Sat, 01 Jan 2000 00:00:00 GMT": 200,
        "nonsense": 200,
    }
    answers = {known: download(owner, file_id, Range="bytes=0-1", If_Range=known) for known in conditions}
    assert {known: answer.status_code for known, answer in answers.items()} == conditions


@pytest.mark.parametrize("known", [f'"{SHA256}"', f'W/"{SHA256}"', f'"x", "{SHA256}"', "*"])
def test_a_known_content_is_not_sent_again(owner: Person, known: str) -> None:
    answer = download(owner, store(owner), If_None_Match=known)
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] == f'"{SHA256}"'
    assert "Content-Length" not in answer.headers


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_None_Match": '"another"'}, 200),
        ({"If_None_Match": '"another"', "If_Modified_Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 200),
        ({"If_Modified_Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 304),
        ({"If_Modified_Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 200),
        ({"If_Modified_Since": "nonsense"}, 200),
        ({"If_Match": f'"{SHA256}"'}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": f'W/"{SHA256}"'}, 412),
        ({"If_Match": '"another"'}, 412),
        ({"If_Unmodified_Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 412),
        ({"If_Unmodified_Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 200),
    ],
)
def test_conditions_are_heeded(owner: Person, headers: dict[str, Any], status: int) -> None:
    assert download(owner, store(owner), **headers).status_code == status


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("a b.txt", 'filename="a b.txt"'),
        ("Übersicht é.txt", "filename=\"Ubersicht e.txt\"; filename*=UTF-8''%C3%9Cbersicht%20%C3%A9.txt"),
        ("日本.pdf", "filename=\"__.pdf\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.pdf"),
        ('a"b\\c.txt', "filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b%5Cc.txt"),
        (
            "a\r\nSet-Cookie: x=1",
            "filename=\"a__Set-Cookie: x=1\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x%3D1",
        ),
        ("50%2e.txt", "filename=\"50_2e.txt\"; filename*=UTF-8''50%252e.txt"),
        ("../../etc/passwd", "filename=\".._.._etc_passwd\"; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd"),
        ("\u202egnp.exe", "filename=\"_gnp.exe\"; filename*=UTF-8''%E2%80%AEgnp.exe"),
        ("a;filename=b.txt", 'filename="a;filename=b.txt"'),
        ("x" * 255, f'filename="{"x" * 255}"'),
    ],
)
def test_no_filename_breaks_the_header(owner: Person, filename: str, expected: str) -> None:
    answer = download(owner, store(owner, filename=filename))
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == f"attachment; {expected}"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.one_database
@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml"])
def test_what_a_browser_might_run_is_saved_in_a_sandbox(owner: Person, content_type: str) -> None:
    answer = download(owner, store(owner, b"<script>alert(1)</script>", content_type=content_type))
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_anothers_content_is_not_there(owner: Person, teammate: Person, admin: Person) -> None:
    file_id = store(owner)
    answer = download(teammate, file_id)
    assert (answer.status_code, answer.json["code"]) == (404, "file_not_found")
    assert download(admin, file_id).data == CONTENT


def test_a_token_in_the_address_is_refused(owner: Person) -> None:
    path = f"/api/files/{store(owner)}/content?access_token={owner.access_token}"
    assert owner.client.get(path).status_code == 401


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("stored", "damage"),
    [
        (None, "missing"),
        (CONTENT[:-1], "changed"),
        (b"", "changed"),
        (CONTENT.replace(b"W", b"w"), "changed"),
    ],
)
def test_what_is_damaged_is_not_served_but_told(
    app: Flask, owner: Person, method: str, stored: bytes | None, damage: str
) -> None:
    file_id = store(owner)
    replace_object(app, file_id, stored)
    answers = [download(owner, file_id, method) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [410, 410]
    if method == "GET":
        assert answers[0].json["code"] == "file_damaged"
    assert damage_events(app) == [damage]


def test_an_empty_file_can_be_missing(app: Flask, owner: Person) -> None:
    file_id = store(owner, b"")
    replace_object(app, file_id, None)
    assert download(owner, file_id).status_code == 410


def test_damage_in_a_later_block_ends_the_answer_before_it(app: Flask, owner: Person) -> None:
    file_id = store(owner, LARGE)
    replace_object(app, file_id, LARGE[: BLOCK_BYTES + 9] + b"?" + LARGE[BLOCK_BYTES + 10 :])
    answer = download(owner, file_id, buffered=False)
    received: list[Any] = []
    with pytest.raises(FileDamaged):
        received.extend(answer.response)
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(LARGE)))
    answer.close()
    assert b"".join(received) == LARGE[:BLOCK_BYTES]
    assert damage_events(app) == ["changed"]
    assert download(owner, file_id).status_code == 410


def test_damage_elsewhere_does_not_hinder_a_part(app: Flask, owner: Person) -> None:
    file_id = store(owner, LARGE)
    replace_object(app, file_id, LARGE[:-1] + b"?")
    assert download(owner, file_id, Range="bytes=5-9").data == LARGE[5:10]
    assert download(owner, file_id, Range="bytes=-9").status_code == 410


class Away:
    """A store that is out of reach, at once or in the middle of a content."""

    def __init__(self, inner: Any, *, blocks: int | None = None) -> None:
        self._inner, self._blocks = inner, blocks
        self.closed = 0

    def presign(self, *_args: Any, **_options: Any) -> str | None:
        return None

    def open(self, key: str, *, start: int = 0) -> Reader:
        if self._blocks is None:
            raise StorageUnavailable
        self._reader = self._inner.open(key, start=start)
        return self

    def read(self, size: int, /) -> bytes:
        assert self._blocks is not None
        if self._blocks == 0:
            raise StorageUnavailable
        self._blocks -= 1
        content: bytes = self._reader.read(size)
        return content

    def close(self) -> None:
        self._reader.close()
        self.closed += 1


def put_away(app: Flask, monkeypatch: pytest.MonkeyPatch, *, blocks: int | None = None) -> Away:
    with app.app_context():
        away = Away(current_storage(), blocks=blocks)
    monkeypatch.setitem(app.extensions, "taskapi_storage", away)
    return away


@pytest.mark.parametrize("blocks", [None, 0])
def test_a_store_that_is_away_says_nothing_of_the_file(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch, blocks: int | None
) -> None:
    file_id = store(owner)
    away = put_away(app, monkeypatch, blocks=blocks)
    answer = download(owner, file_id)
    assert (answer.status_code, answer.json["code"]) == (503, "storage_unavailable")
    assert damage_events(app) == []
    assert away.closed == (0 if blocks is None else 1)


def test_a_store_that_breaks_off_ends_the_answer(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = store(owner, LARGE)
    away = put_away(app, monkeypatch, blocks=1)
    answer = download(owner, file_id, buffered=False)
    with pytest.raises(StorageUnavailable):
        _ = answer.data
    answer.close()
    assert away.closed == 1
    assert row_of(app, file_id).damage is None  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_reader_is_closed_when_the_client_goes(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    file_id = store(owner, LARGE)
    reader = put_away(app, monkeypatch, blocks=9)
    answer = download(owner, file_id, method, buffered=False)
    assert reader.closed == 0
    answer.close()
    assert reader.closed == 1


@pytest.mark.one_database
def test_a_large_content_takes_no_more_memory_than_a_few_blocks(owner: Person) -> None:
    file_id = store(owner, LARGE * 6)
    tracemalloc.start()
    try:
        answer = download(owner, file_id, buffered=False)
        size = sum(len(piece) for piece in answer.response)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    answer.close()
    assert size == len(LARGE) * 6
    assert peak < 4 * BLOCK_BYTES


def test_no_connection_is_held_while_a_content_is_read(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = store(owner)
    held: list[int] = []
    with app.app_context():
        pool, storage = db.engine.pool, current_storage()

    def open_and_look(key: str, *, start: int = 0) -> Reader:
        held.append(pool.checkedout())  # type: ignore[attr-defined]
        return DiskStorage.open(storage, key, start=start)  # type: ignore[arg-type]

    monkeypatch.setattr(storage, "open", open_and_look)
    assert download(owner, file_id).data == CONTENT
    assert held == [0]


def test_a_content_may_be_downloaded_where_it_lies(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def presign(key: str, **options: Any) -> str:
        asked.update(options, key=key)
        return "https://bucket.example/object?signature"

    file_id = store(owner, filename="é.txt")
    key = key_of(app, file_id)
    with app.app_context():
        monkeypatch.setattr(current_storage(), "presign", presign)
    answer = download(owner, file_id, Range="bytes=0-1", If_None_Match=f'"{SHA256}"')
    assert (answer.status_code, answer.data) == (302, b"")
    assert answer.headers["Location"] == "https://bucket.example/object?signature"
    assert answer.headers["Cache-Control"] == "no-store"
    assert asked == {
        "key": key,
        "seconds": 300,
        "content_type": "text/plain; charset=utf-8",
        "disposition": "attachment; filename=\"e.txt\"; filename*=UTF-8''%C3%A9.txt",
    }
    assert download(owner, file_id, "HEAD").status_code == 200


def test_what_is_known_to_be_damaged_is_not_sent_there(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = store(owner, damage="changed")
    with app.app_context():
        monkeypatch.setattr(current_storage(), "presign", lambda *_, **__: "https://bucket.example/")
    assert download(owner, file_id).status_code == 410


@pytest.fixture
def bucket(app: Flask, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    """The application keeps its files in a bucket."""
    storage = new_bucket(s3_url, tmp_path, signed_downloads=False)
    monkeypatch.setitem(app.extensions, "taskapi_storage", storage)
    return storage


@pytest.mark.one_database
@pytest.mark.usefixtures("bucket")
def test_a_content_comes_back_from_a_bucket(app: Flask, owner: Person) -> None:
    file_id, empty = store(owner, LARGE), store(owner, b"")
    start, end = BLOCK_BYTES + 5, 2 * BLOCK_BYTES + 5
    assert download(owner, file_id).data == LARGE
    assert download(owner, file_id, Range=f"bytes={start}-{end - 1}").data == LARGE[start:end]
    assert download(owner, empty).data == b""


@pytest.mark.one_database
@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("stored", [None, LARGE[: 2 * BLOCK_BYTES], LARGE[:-1] + b"?"])
def test_what_is_damaged_in_a_bucket_is_not_served(app: Flask, owner: Person, stored: bytes | None) -> None:
    file_id = store(owner, LARGE)
    replace_object(app, file_id, stored)
    assert download(owner, file_id, Range="bytes=-5").status_code == 410
    assert damage_events(app) == ["missing" if stored is None else "changed"]


@pytest.mark.one_database
def test_a_signed_address_serves_the_content_as_we_would(
    app: Flask, owner: Person, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = new_bucket(s3_url, tmp_path, signed_downloads=True)
    monkeypatch.setitem(app.extensions, "taskapi_storage", storage)
    answer = download(owner, store(owner, filename="é.txt"))
    assert answer.status_code == 302
    asked = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert asked.keys() >= {"X-Amz-Signature"}
    assert asked["X-Amz-Expires"] == ["300"]
    served = urllib3.request("GET", answer.headers["Location"], headers={"Range": "bytes=0-3"})
    assert (served.status, served.data) == (206, CONTENT[:4])
    assert served.headers["Content-Disposition"] == disposition("é.txt")
    assert served.headers["Content-Type"] == "text/plain; charset=utf-8"
