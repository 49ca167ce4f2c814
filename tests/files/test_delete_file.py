"""DELETE /api/files/{id}"""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import ObjectMissing
from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.files.models import DiscardedObject
from tests.files.making import CONTENT, key_of, row_of, store, used
from tests.people import Person
from tests.work import run_jobs


def path_of(file_id: UUID) -> str:
    return f"/api/files/{file_id}"


def test_a_deleted_file_is_gone(app: Flask, owner: Person) -> None:
    file_id, kept = store(owner), store(owner)
    answer = owner.delete(path_of(file_id))
    assert (answer.status_code, answer.data) == (204, b"")
    assert row_of(app, file_id) is None
    assert owner.get(f"{path_of(file_id)}/content").status_code == 404
    assert owner.get(path_of(kept)).status_code == 200
    assert used(app, owner) == (len(CONTENT), 1)


def test_its_object_is_marked_for_removal_in_the_same_transaction(app: Flask, owner: Person) -> None:
    file_id = store(owner)
    key = key_of(app, file_id)
    owner.delete(path_of(file_id))
    with app.app_context():
        assert session().scalars(sa.select(DiscardedObject.storage_key)).all() == [key]


def test_deleting_twice_finds_nothing_to_delete(owner: Person) -> None:
    path = path_of(store(owner))
    assert [owner.delete(path).status_code for _ in range(2)] == [204, 404]


def test_only_the_file_that_was_seen_is_deleted(owner: Person) -> None:
    path = path_of(store(owner))
    for tag in ('"another"', f"W/{owner.get(path).headers['ETag']}"):
        stale = owner.delete(path, headers={"If-Match": tag})
        assert (stale.status_code, stale.get_json()["code"]) == (412, "precondition_failed")
    seen = owner.get(path).headers["ETag"]
    assert owner.delete(path, headers={"If-Match": seen}).status_code == 204


def test_who_deleted_what_is_in_the_event_log(app: Flask, owner: Person, admin: Person) -> None:
    file_id = store(owner)
    admin.delete(path_of(file_id))
    with app.app_context():
        event = session().scalars(sa.select(Event).where(Event.type == "file.deleted")).one()
    assert (event.subject_type, event.subject_id) == ("file", file_id)
    assert (event.actor_id, event.owner_id) == (admin.id, owner.id)
    assert event.before is not None
    assert (event.before["filename"], event.before["size"]) == ("notes.txt", len(CONTENT))


def test_a_stranger_deletes_nothing(app: Flask, owner: Person, teammate: Person) -> None:
    file_id = store(owner)
    assert teammate.delete(path_of(file_id)).status_code == 404
    assert row_of(app, file_id) is not None


def test_of_several_who_delete_at_once_one_does_it(app: Flask, owner: Person) -> None:
    file_id = store(owner)
    store(owner)
    together = threading.Barrier(4, timeout=20)

    def delete(_number: int) -> int:
        person = replace(owner, client=app.test_client())
        together.wait()
        return person.delete(path_of(file_id)).status_code

    with ThreadPoolExecutor(4) as threads:
        answers = [*threads.map(delete, range(4))]
    assert sorted(answers) == [204, 404, 404, 404]
    assert used(app, owner) == (len(CONTENT), 1)
    with app.app_context():
        deleted = sa.select(sa.func.count()).select_from(Event).where(Event.type == "file.deleted")
        assert session().scalar(deleted) == 1


def test_a_damaged_file_can_be_deleted(owner: Person) -> None:
    assert owner.delete(path_of(store(owner, damage="missing"))).status_code == 204


@pytest.mark.usefixtures("redis_away")
def test_it_needs_no_redis(app: Flask, owner: Person) -> None:
    file_id = store(owner)
    assert owner.delete(path_of(file_id)).status_code == 204
    assert row_of(app, file_id) is None


def test_the_object_is_removed_by_a_worker(app: Flask, owner: Person) -> None:
    file_id = store(owner)
    key = key_of(app, file_id)
    owner.delete(path_of(file_id))
    run_jobs(app)
    with app.app_context(), pytest.raises(ObjectMissing):
        current_storage().open(key)
