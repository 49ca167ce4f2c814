"""Uploads that go wrong on their way: a clear error, no half of a file, nothing left behind."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import StorageFull, StorageUnavailable
from taskapi.core.db import db
from taskapi.core.events import record_event
from taskapi.files.jobs import sweep_objects
from tests.files.uploading import (
    END,
    TEXT,
    assert_nothing_kept,
    counted,
    download,
    incoming_files,
    objects_left,
    part,
    post_form,
    upload,
    upload_raw,
)
from tests.people import Person
from tests.s3 import new_bucket, store_at
from tests.schedules.making import Time
from tests.settings import settings_changed

Upload = Callable[..., Any]
pytestmark = pytest.mark.usefixtures("empty_store")
both_ways = pytest.mark.parametrize("send_it", [upload, upload_raw])
CHUNKED: dict[str, Any] = {
    "environ_overrides": {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
}
BODY = part('name="file"; filename="list.txt"') + END


class Arriving(io.BytesIO):
    """A body that does something each time it is read from."""

    def __init__(self, content: bytes, when_read: Callable[[], object]) -> None:
        super().__init__(content)
        self._when_read = when_read

    def read(self, size: int | None = -1, /) -> bytes:
        self._when_read()
        return super().read(size)

    def readinto(self, buffer: Any, /) -> int:
        self._when_read()
        return super().readinto(buffer)


def never() -> None:
    raise AssertionError("the body was read")


@both_ways
@pytest.mark.one_database
def test_what_says_that_it_is_too_large_is_not_read(app: Flask, owner: Person, send_it: Upload) -> None:
    size = 10_485_760 + 65_537
    answer = send_it(owner, stream=Arriving(b"", never), announced=size)
    assert (answer.status_code, answer.json["code"]) == (413, "file_too_large")
    assert_nothing_kept(app)


@both_ways
@pytest.mark.one_database
@pytest.mark.parametrize("options", [{}, CHUNKED], ids=["announced", "in chunks"])
def test_a_file_is_as_large_as_is_allowed_and_no_larger(
    app: Flask, owner: Person, send_it: Upload, options: dict[str, Any]
) -> None:
    with settings_changed(app, max_file_size=len(TEXT)):
        answer = send_it(owner, TEXT + b"x", **options)
        assert (answer.status_code, answer.json["code"]) == (413, "file_too_large")
        assert_nothing_kept(app)
        assert send_it(owner, TEXT, **options).status_code == 201


@pytest.mark.one_database
def test_what_comes_in_chunks_is_refused_as_soon_as_it_is_too_large(app: Flask, owner: Person) -> None:
    reads: list[int] = []
    endless = Arriving(b"x" * 5_000_000, lambda: reads.append(1))
    with settings_changed(app, max_file_size=100_000):
        answer = upload_raw(owner, stream=endless, **CHUNKED)
    assert (answer.status_code, answer.json["code"]) == (413, "file_too_large")
    assert len(reads) == 2
    assert_nothing_kept(app)


@pytest.mark.one_database
def test_a_form_around_the_file_stays_small(app: Flask, owner: Person) -> None:
    for body in (
        part('name="sha256"', b"0" * 10_000) + BODY,
        b"--" + b"x" * 200_000 + BODY,
        BODY + b"x" * 200_000,
        part('name="file"; filename="a.txt"\r\nX-Long: ' + "x" * 200_000) + END,
    ):
        answer = post_form(owner, body)
        assert (answer.status_code, answer.json["code"]) == (413, "content_too_large")
    assert_nothing_kept(app)


@both_ways
def test_a_client_that_vanishes_leaves_nothing(app: Flask, owner: Person, send_it: Upload) -> None:
    for environ in ({}, {"wsgi.input_terminated": True}):
        answer = send_it(owner, announced=len(BODY) + 100, environ_overrides=environ)
        assert (answer.status_code, answer.json["code"]) == (408, "upload_too_slow")
    assert_nothing_kept(app)


@both_ways
@pytest.mark.one_database
def test_a_connection_that_breaks_leaves_nothing(app: Flask, owner: Person, send_it: Upload) -> None:
    def reset() -> None:
        raise ConnectionResetError

    answer = send_it(owner, stream=Arriving(b"", reset), **CHUNKED)
    assert (answer.status_code, answer.json["code"]) == (408, "upload_too_slow")
    assert_nothing_kept(app)


@both_ways
@pytest.mark.one_database
def test_a_client_that_trickles_is_given_up(
    app: Flask, owner: Person, send_it: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr("taskapi.core.incoming.time", clock)
    patient = Arriving(BODY, lambda: clock.pass_by(29))
    assert post_form(owner, b"", stream=patient, announced=len(BODY)).status_code == 201
    with settings_changed(app, file_quota=0):
        answer = send_it(owner, stream=Arriving(BODY, lambda: clock.pass_by(31)), announced=len(BODY))
    assert (answer.status_code, answer.json["code"]) == (408, "upload_too_slow")
    assert counted(app)[0] == 1
    assert incoming_files(app) == []


class FakeClock:
    """Stands for the module ``time``."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def pass_by(self, seconds: float) -> None:
        self._now += seconds


@both_ways
def test_no_connection_is_held_while_a_body_arrives(app: Flask, owner: Person, send_it: Upload) -> None:
    held: list[int] = []

    def look() -> None:
        held.append(db.engine.pool.checkedout())  # type: ignore[attr-defined]

    body = BODY if send_it is upload else TEXT
    assert send_it(owner, stream=Arriving(body, look), announced=len(body)).status_code == 201
    assert set(held) == {0}


@both_ways
@pytest.mark.one_database
def test_a_full_disk_is_told(
    app: Flask, owner: Person, send_it: Upload, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(**_options: Any) -> tuple[int, str]:
        name = tmp_path / "upload"
        name.touch()
        return os.open("/dev/full", os.O_WRONLY), str(name)

    monkeypatch.setattr("taskapi.core.incoming.tempfile.mkstemp", full)
    with capture_logs() as lines:
        answer = send_it(owner, TEXT * 10_000)
    assert (answer.status_code, answer.json["code"]) == (507, "storage_full")
    assert "No space left on device" in next(
        line["error"] for line in lines if line["event"] == "storage.disk_failed"
    )
    assert list(tmp_path.iterdir()) == []
    answer = send_it(owner)
    assert (answer.status_code, answer.json["code"]) == (507, "storage_full")
    assert_nothing_kept(app)


@both_ways
@pytest.mark.parametrize(
    ("error", "refused"),
    [(StorageUnavailable, (503, "storage_unavailable")), (StorageFull, (507, "storage_full"))],
)
def test_a_store_that_refuses_leaves_nothing(
    app: Flask,
    owner: Person,
    send_it: Upload,
    error: type[Exception],
    refused: tuple[int, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_self: object, _key: str, _source: Path) -> None:
        raise error

    with app.app_context():
        monkeypatch.setattr(type(current_storage()), "put", refuse)
    answer = send_it(owner)
    assert (answer.status_code, answer.json["code"]) == refused
    assert_nothing_kept(app)


@both_ways
@pytest.mark.one_database
def test_what_ends_the_process_in_the_middle_leaves_no_file(
    app: Flask, owner: Person, send_it: Upload
) -> None:
    def end() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        send_it(owner, stream=Arriving(b"", end), announced=10)
    assert_nothing_kept(app)


def fail(*_args: object, **_options: object) -> None:
    raise OperationalError("INSERT", {}, Exception("server closed the connection"))


@both_ways
def test_a_database_that_goes_before_the_commit_keeps_no_object(
    app: Flask, owner: Person, send_it: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskapi.files.uploading.record_event", fail)
    answer = send_it(owner)
    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert_nothing_kept(app)
    with app.app_context():
        sweep_objects()
        assert list(current_storage().walk()) == []
    assert counted(app) == (0, 0, 0)


def test_what_nobody_could_give_up_is_removed_some_hours_later(
    app: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the process is killed between storing the object and the commit."""
    with monkeypatch.context() as patch:
        patch.setattr("taskapi.files.uploading.record_event", fail)
        patch.setattr("taskapi.files.objects.give_up_object", fail)
        assert upload(owner).status_code == 503
    assert (counted(app), objects_left(app)) == ((0, 1, 0), set())
    with app.app_context():
        sweep_objects()
        assert len(list(current_storage().walk())) == 1
    time.pass_(hours=7)
    with app.app_context():
        sweep_objects()
        assert list(current_storage().walk()) == []
    assert counted(app) == (0, 0, 0)


def test_a_serialization_failure_is_repeated_with_what_arrived(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def fail_once(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            error = OperationalError("INSERT", {}, Exception("connection lost"), connection_invalidated=True)
            raise error
        return record_event(*args, **options)

    monkeypatch.setattr("taskapi.files.uploading.record_event", fail_once)
    answer = upload(owner)
    assert (answer.status_code, len(calls)) == (201, 2)
    assert download(owner, answer.json) == TEXT
    assert counted(app) == (1, 0, len(TEXT))


def test_redis_may_be_away(app: Flask, owner: Person, redis_away: object) -> None:
    assert upload(owner).status_code == 201
    with settings_changed(app, file_quota=len(TEXT)):
        assert upload(owner, b"one more").status_code == 507
    assert objects_left(app) == set()


@pytest.mark.one_database
def test_a_bucket_keeps_what_was_uploaded_and_one_that_is_not_there_leaves_nothing(
    app: Flask, owner: Person, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.extensions, "taskapi_storage", new_bucket(s3_url, tmp_path))
    file = upload(owner, TEXT * 60_000).json
    assert download(owner, file) == TEXT * 60_000
    assert (incoming_files(app), objects_left(app)) == ([], set())
    monkeypatch.setitem(app.extensions, "taskapi_storage", store_at(s3_url, tmp_path))
    answer = upload_raw(owner)
    assert (answer.status_code, answer.json["code"]) == (503, "storage_unavailable")
    assert (counted(app)[0], incoming_files(app)) == (1, [])
