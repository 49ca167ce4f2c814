"""Objects: what was announced, kept, given up and discarded, whatever happens in between."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.background.names import Queue
from taskapi.clients.storage.base import StorageFull
from taskapi.clients.storage.disk import DiskStorage
from taskapi.core import clock
from taskapi.core.db import db, in_transaction, read_database_clock, session, transaction
from taskapi.files import jobs, objects
from taskapi.files.models import DiscardedObject, StoredFile
from taskapi.files.objects import UploadExpired, announce_object, discard_objects, give_up_object, keep_object
from tests.files.making import key_of, store
from tests.files.objects import deleting, discarded, is_stored, later, put_object, refuse
from tests.people import Person
from tests.work import queued, run_jobs


@pytest.fixture(autouse=True)
def own_store(app: Flask, context: Flask, tmp_path: Path) -> Iterator[None]:
    real = app.extensions["taskapi_storage"]
    app.extensions["taskapi_storage"] = DiskStorage(tmp_path)
    yield
    app.extensions["taskapi_storage"] = real


def discard(*keys: str) -> None:
    with transaction():
        discard_objects(keys)


def change_and_fail(change: Callable[[], object]) -> None:
    with suppress(RuntimeError), transaction():
        change()
        raise RuntimeError


def file_of(owner: Person, key: str) -> StoredFile:
    facts = {"filename": "a.txt", "content_type": "text/plain", "size": 7, "sha256": "", "blocks": b""}
    return StoredFile(owner_id=owner.id, storage_key=key, **facts)


def test_an_upload_of_which_nobody_hears_again_is_removed_after_some_hours() -> None:
    key = put_object(announce_object())
    with later(hours=5.9):
        jobs.sweep_objects()
        assert is_stored(key)
    with later(hours=6.1):
        jobs.sweep_objects()
    assert not is_stored(key)
    assert discarded() == {}


def test_an_object_that_is_kept_stays() -> None:
    key = put_object(announce_object())
    with transaction():
        keep_object(key)
    with later(days=1):
        jobs.sweep_objects()
    assert is_stored(key)
    assert discarded() == {}


def test_what_was_not_kept_in_the_end_is_still_announced() -> None:
    key = announce_object()
    change_and_fail(lambda: keep_object(key))
    assert discarded() == {key: 0}


def test_keys_are_random() -> None:
    assert len({announce_object() for _ in range(3)}) == 3


def test_discarded_objects_are_removed_after_the_commit(app: Flask) -> None:
    keys = [put_object(), put_object()]
    discard(*keys)
    assert all(is_stored(key) for key in keys)
    assert run_jobs(app) == 2
    assert not any(is_stored(key) for key in keys)
    assert discarded() == {}


def test_nothing_is_discarded_by_what_is_rolled_back(app: Flask) -> None:
    key = put_object()
    change_and_fail(lambda: discard_objects([key]))
    assert run_jobs(app) == 0
    assert is_stored(key)


@pytest.mark.usefixtures("redis_away")
def test_without_redis_the_sweep_removes_them() -> None:
    key = put_object()
    discard(key)
    assert is_stored(key)
    jobs.sweep_objects()
    assert not is_stored(key)


def test_an_upload_that_failed_is_removed_at_once(app: Flask) -> None:
    key = put_object(announce_object())
    give_up_object(key)
    run_jobs(app)
    assert not is_stored(key)
    assert discarded() == {}


def test_an_upload_that_failed_before_anything_was_stored_leaves_nothing(app: Flask) -> None:
    put_object()
    give_up_object(announce_object())
    run_jobs(app)
    assert discarded() == {}


def test_what_became_a_file_although_nobody_was_told_cannot_be_given_up(app: Flask, owner: Person) -> None:
    key = key_of(app, store(owner))
    give_up_object(key)
    run_jobs(app)
    assert is_stored(key)
    assert discarded() == {}


def test_giving_up_waits_for_a_commit_in_progress(app: Flask, owner: Person) -> None:
    key = put_object(announce_object())
    written = threading.Event()

    def commit_slowly() -> None:
        with app.app_context():
            with transaction():
                keep_object(key)
                session().add(file_of(owner, key))
                session().flush()
                written.set()
                threading.Event().wait(0.05)
            db.session.remove()

    thread = threading.Thread(target=commit_slowly)
    thread.start()
    assert written.wait(5)
    give_up_object(key)
    thread.join()
    run_jobs(app)
    assert is_stored(key)


def test_a_store_that_is_away_is_asked_again_after_longer_and_longer_pauses(app: Flask) -> None:
    key = put_object()
    pauses: list[int] = []
    discard(key)
    with later(seconds=1), deleting(app, refuse) as store:
        for _ in range(8):
            with later(seconds=sum(pauses)):
                jobs.remove_object(key)
                row = session().scalars(sa.select(DiscardedObject)).one()
                pauses.append(round((row.due_at - clock.now()).total_seconds()))
                session().rollback()
                jobs.remove_object(key)
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert len(store.asked) == 8, "nobody asks in a pause"
    assert row.last_error == "StorageUnavailable"
    with later(seconds=sum(pauses) + 1):
        jobs.remove_object(key)
    assert not is_stored(key)
    assert discarded() == {}


def test_the_pause_stays_an_hour_however_often_it_was_tried(app: Flask) -> None:
    key = put_object()
    discard(key)
    with transaction():
        session().execute(sa.update(DiscardedObject).values(attempts=100_000))
    with deleting(app, refuse):
        jobs.remove_object(key)
    due_at = session().scalars(sa.select(DiscardedObject.due_at)).one()
    assert abs((due_at - read_database_clock()).total_seconds() - 3600) < 10


def test_a_store_without_the_room_to_delete_is_asked_again_later(app: Flask) -> None:
    key = put_object()
    discard(key)

    def need_room(_key: str) -> None:
        raise StorageFull

    with deleting(app, need_room):
        jobs.sweep_objects()
    assert discarded() == {key: 1}
    assert session().scalar(sa.select(DiscardedObject.last_error)) == "StorageFull"


def test_one_worker_at_a_time_removes_an_object_and_no_transaction_is_open(app: Flask) -> None:
    key = put_object()
    discard(key)

    def another_job(key: str) -> None:
        assert not in_transaction()
        jobs.remove_object(key)
        jobs.sweep_objects()

    with deleting(app, another_job) as store:
        jobs.remove_object(key)
    assert store.asked == [key]
    assert not is_stored(key)


def test_what_a_worker_left_that_died_is_removed_by_another(app: Flask) -> None:
    key = put_object()
    discard(key)

    def die(_key: str) -> None:
        raise SystemExit

    with deleting(app, die), pytest.raises(SystemExit):
        jobs.remove_object(key)
    jobs.sweep_objects()
    assert discarded() == {key: 1}, "it might still be at work"
    with later(seconds=objects.LEASE_SECONDS + 1):
        jobs.sweep_objects()
    assert discarded() == {}
    assert not is_stored(key)


def test_a_worker_that_comes_back_late_changes_nothing(app: Flask) -> None:
    key = put_object()
    discard(key)

    def fall_asleep(key: str) -> None:
        with later(seconds=objects.LEASE_SECONDS + 1), deleting(app, refuse):
            jobs.remove_object(key)

    with deleting(app, fall_asleep):
        jobs.remove_object(key)
    assert discarded() == {key: 2}, "the other worker's pause goes on"


def test_an_object_whose_removal_began_cannot_become_a_file(app: Flask) -> None:
    key = put_object(announce_object())

    def keep(key: str) -> None:
        with pytest.raises(UploadExpired), transaction():
            keep_object(key)

    with later(hours=7), deleting(app, keep) as store:
        jobs.remove_object(key)
    assert store.asked == [key]
    with pytest.raises(UploadExpired), transaction():
        keep_object(key)


def test_an_object_that_was_stored_after_its_removal_is_removed_once_more(app: Flask) -> None:
    key = announce_object()
    put_object()
    with later(hours=7):
        jobs.remove_object(key)
        assert discarded() == {}
        put_object(key)
        give_up_object(key)
        run_jobs(app)
    assert not is_stored(key)
    assert discarded() == {}


def test_an_object_that_was_stored_during_its_removal_is_removed_once_more(app: Flask) -> None:
    key = announce_object()
    put_object()

    def delete_and_then_store(key: str) -> None:
        app.extensions["taskapi_storage"]._store.delete(key)
        give_up_object(key)
        # What the job does after this finds its claim void.

    with later(hours=7):
        with deleting(app, delete_and_then_store):
            jobs.remove_object(key)
        put_object(key)
        assert key in discarded()
        assert run_jobs(app) == 1
    assert not is_stored(key)
    assert discarded() == {}


def test_a_job_for_what_was_removed_already_does_nothing(app: Flask) -> None:
    with deleting(app, refuse) as store:
        jobs.remove_object("0" * 32)
    assert store.asked == []
    assert queued(Queue.HOUSEKEEPING) == []
