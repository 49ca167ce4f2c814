"""The store of files does not answer: contents are refused for now, all else goes on, nothing is damaged."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask
from structlog.testing import capture_logs

from taskapi.clients.storage import s3
from taskapi.files.jobs import sweep_objects
from tests.e2e.conftest import free_port
from tests.files.faults import store_replaced
from tests.files.making import row_of, store
from tests.files.uploading import upload, upload_raw
from tests.people import Person
from tests.s3 import store_at
from tests.tasks.making import make_task

pytestmark = pytest.mark.one_database


@pytest.fixture
def file_id(owner: Person) -> UUID:
    """A file that was stored while the store was there."""
    return store(owner)


@pytest.fixture
def away(app: Flask, file_id: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody listens where the bucket should be."""
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    with store_replaced(app, store_at(f"http://127.0.0.1:{free_port()}", tmp_path)):
        yield


def test_contents_are_answered_that_the_store_is_away_and_no_file_is_damaged_for_it(
    app: Flask, owner: Person, file_id: UUID, away: None
) -> None:
    path = f"/api/files/{file_id}"
    with capture_logs() as lines:
        answers = [
            upload(owner),
            upload_raw(owner),
            owner.get(f"{path}/content"),
            owner.post(f"{path}/verify"),
        ]
    for answer in answers:
        assert (answer.status_code, answer.json["code"]) == (503, "storage_unavailable")
        assert answer.headers["Retry-After"] == "1"
    reasons = [line["code"] for line in lines if line["event"] == "storage.bucket_failed"]
    assert reasons == ["EndpointConnectionError"] * 4
    row = row_of(app, file_id)
    assert row is not None
    assert row.damage is None


def test_all_else_goes_on_and_what_is_deleted_leaves_the_store_later(
    app: Flask, owner: Person, file_id: UUID, away: None
) -> None:
    make_task(owner)
    assert owner.get("/api/files").json["total"] == 1
    assert owner.get(f"/api/files/{file_id}").json["filename"] == "notes.txt"
    assert owner.delete(f"/api/files/{file_id}").status_code == 204
    with app.app_context(), capture_logs() as lines:
        sweep_objects()
    put_off = [line["pause"] for line in lines if line["event"] == "object.removal_put_off"]
    assert put_off == [60]
