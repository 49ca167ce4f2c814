"""What becomes of files when an account is closed"""

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.accounts import service as accounts
from taskapi.accounts.closing import close_account
from taskapi.accounts.errors import TokenRevoked
from taskapi.clients.storage import current_storage
from taskapi.clients.storage.disk import DiskStorage
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.files import closing, integrity
from taskapi.files.models import DiscardedObject, FileUsage, StoredFile
from tests.accounts.test_close_account import close, everything_told
from tests.files.making import CONTENT, key_of, row_of, store, used
from tests.files.uploading import assert_nothing_kept, upload_raw
from tests.people import Person
from tests.work import tick


def test_all_files_go_in_batches(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "BATCH", 2)
    keys = {key_of(app, store(owner)) for _ in range(5)}
    assert close(owner).status_code == 204
    with app.app_context():
        for model in (StoredFile, FileUsage):
            assert session().scalar(sa.select(sa.func.count()).select_from(model)) == 0
        assert set(session().scalars(sa.select(DiscardedObject.storage_key))) == keys


def test_nobody_elses_files_go(app: Flask, owner: Person, teammate: Person) -> None:
    theirs = store(teammate)
    close(owner)
    assert row_of(app, theirs) is not None
    assert used(app, teammate) == (len(CONTENT), 1)


@pytest.mark.usefixtures("empty_store")
def test_what_is_still_arriving_does_not_become_a_file(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        storage = current_storage()

    def put_and_leave(key: str, source: Path) -> None:
        DiskStorage.put(storage, key, source)  # type: ignore[arg-type]
        assert close(replace(owner, client=app.test_client())).status_code == 204

    monkeypatch.setattr(storage, "put", put_and_leave)
    answer = upload_raw(owner)
    assert (answer.status_code, answer.json["code"]) == (401, "token_revoked")
    assert_nothing_kept(app)


def test_an_account_that_is_being_closed_is_waited_for(app: Flask, owner: Person) -> None:
    closed = threading.Event()

    def end_an_upload() -> bool:
        with app.app_context(), pytest.raises(TokenRevoked), transaction():
            accounts.check_still_active(user_id=owner.id)
        return closed.is_set()

    with ThreadPoolExecutor(1) as threads:
        with app.app_context(), transaction():
            close_account(actor=owner.actor)
            waited = threads.submit(end_an_upload)
            assert not wait([waited], timeout=0.2).done
            closed.set()
        assert waited.result(timeout=20)


def test_each_has_its_event_without_its_name(app: Flask, owner: Person) -> None:
    file_ids = {store(owner, filename="quux.txt") for _ in range(3)}
    close(owner)
    with app.app_context():
        events = session().scalars(sa.select(Event).where(Event.type == "file.deleted")).all()
    assert {event.subject_id for event in events} == file_ids
    assert {(event.actor_id, event.owner_id) for event in events} == {(owner.id, owner.id)}
    assert [event.before or event.after for event in events] == [None] * 3


def test_no_table_tells_any_more_what_the_files_were_called(app: Flask, owner: Person, admin: Person) -> None:
    deleted, damaged, _kept = (store(owner, filename=f"Quux {number}.txt") for number in range(3))
    with app.app_context():
        integrity.report_damage(file_id=damaged, damage="missing")
    admin.delete(f"/api/files/{deleted}")
    tick(app)
    with app.app_context():
        assert "quux" in everything_told()
    close(owner)
    tick(app)
    with app.app_context():
        assert "quux" not in everything_told()
