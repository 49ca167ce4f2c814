"""The job sweep_objects: objects that would stay for ever otherwise."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from structlog.testing import capture_logs

from taskapi.background.connection import redis_client
from taskapi.clients.storage.disk import DiskStorage
from taskapi.core.db import transaction
from taskapi.files import jobs, sweeping
from taskapi.files.objects import discard_objects
from tests.files.objects import deleting, discarded, is_stored, later, put_object, refuse

DAY_AND_MORE = 90_000


@pytest.fixture(autouse=True)
def own_store(app: Flask, context: Flask, tmp_path: Path) -> Iterator[DiskStorage]:
    real = app.extensions["taskapi_storage"]
    app.extensions["taskapi_storage"] = store = DiskStorage(tmp_path / "files")
    yield store
    app.extensions["taskapi_storage"] = real


def discard(count: int) -> list[str]:
    """Objects whose removal Redis forgot."""
    keys = [put_object() for _ in range(count)]
    with transaction():
        discard_objects(keys)
    redis_client().flushdb()
    return keys


def test_what_redis_forgot_is_removed() -> None:
    keys = discard(3)
    jobs.sweep_objects()
    assert not any(is_stored(key) for key in keys)
    assert discarded() == {}


def test_a_round_is_bounded_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "ROUND_OBJECTS", 2)
    discard(5)
    left = []
    for _ in range(3):
        jobs.sweep_objects()
        left.append(len(discarded()))
    assert left == [3, 1, 0]


def test_a_slow_store_does_not_keep_a_worker_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    discard(2)
    monkeypatch.setattr(sweeping, "ROUND_SECONDS", -1.0)
    jobs.sweep_objects()
    assert len(discarded()) == 2


def test_a_store_that_is_away_ends_no_sweep_and_is_asked_again_later(app: Flask) -> None:
    keys = discard(3)
    with deleting(app, refuse) as store:
        jobs.sweep_objects()
    assert sorted(store.asked) == sorted(keys)
    assert set(discarded().values()) == {1}
    with later(minutes=2):
        jobs.sweep_objects()
    assert discarded() == {}


def test_an_object_that_cannot_be_removed_does_not_stop_the_others(app: Flask) -> None:
    poisoned, *others = discard(3)
    with deleting(app, lambda key: refuse(key) if key == poisoned else None):
        jobs.sweep_objects()
    assert discarded() == {poisoned: 1}
    assert not any(is_stored(key) for key in others)


def test_what_dead_uploads_left_goes_after_a_day(own_store: DiskStorage) -> None:
    old, new = own_store.incoming / "old", own_store.incoming / "new"
    for path in (old, new):
        path.write_bytes(b"half an upl")
    os.utime(old, (time.time() - DAY_AND_MORE,) * 2)
    jobs.sweep_objects()
    assert list(own_store.incoming.iterdir()) == [new]


def test_a_directory_that_is_away_is_told_to_the_log(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"no directory")
    app.extensions["taskapi_storage"] = DiskStorage(tmp_path / "taken")
    with capture_logs() as lines:
        jobs.sweep_objects()
    assert [line["event"] for line in lines] == ["storage.disk_failed", "files.sweep_put_off"]
