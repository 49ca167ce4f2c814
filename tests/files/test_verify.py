"""POST /api/files/{id}/verify"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.clients.storage.disk import DiskStorage
from taskapi.core import clock
from taskapi.core.db import db, session
from taskapi.core.events import Event
from taskapi.core.incoming import BLOCK_BYTES
from taskapi.files.integrity import report_damage
from tests.clients.storage.contents import make_unreadable
from tests.files.faults import store_failing, store_replaced, store_whole
from tests.files.making import CONTENT, key_of, replace_object, row_of, store
from tests.notifications.outbox import mailed
from tests.people import Person
from tests.s3 import new_bucket
from tests.work import tick

LAST_YEAR = clock.now() - timedelta(days=365)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DAMAGED = {
    "one byte flipped": bytes([CONTENT[0] ^ 1]) + CONTENT[1:],
    "truncated": CONTENT[:-1],
    "appended": CONTENT + b"x",
    "emptied": b"",
}


def verify(person: Person, file_id: UUID) -> dict[str, Any]:
    answer = person.post(f"/api/files/{file_id}/verify")
    assert answer.status_code == 200, answer.text
    verdict: dict[str, Any] = answer.json
    return verdict


def events(app: Flask) -> list[str]:
    """What was told of files, oldest first."""
    with app.app_context():
        return list(
            session().scalars(sa.select(Event.type).where(Event.type.like("file.%")).order_by(Event.id))
        )


def noted(app: Flask, file_id: UUID) -> tuple[str | None, bool]:
    """What is known to be wrong with a file, and whether it was checked since last year."""
    row = row_of(app, file_id)
    assert row is not None
    return row.damage, row.checked_at > LAST_YEAR


def test_what_is_as_it_was_uploaded_is_well(app: Flask, owner: Person) -> None:
    file_id = store(owner, checked_at=LAST_YEAR)
    assert verify(owner, file_id) == {"ok": True, "sha256": SHA256, "stored_sha256": SHA256}
    assert noted(app, file_id) == (None, True)
    assert events(app) == []


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_what_was_changed_behind_our_back_is_found(app: Flask, owner: Person, content: bytes) -> None:
    file_id = store(owner, checked_at=LAST_YEAR)
    replace_object(app, file_id, content)
    stored = hashlib.sha256(content).hexdigest()
    assert verify(owner, file_id) == {"ok": False, "sha256": SHA256, "stored_sha256": stored}
    assert noted(app, file_id) == ("changed", True)


def test_damage_in_the_last_of_several_pieces_is_found(app: Flask, owner: Person) -> None:
    content = bytes(2 * BLOCK_BYTES + 3)
    file_id = store(owner, content)
    assert verify(owner, file_id)["ok"]
    replace_object(app, file_id, content[:-1] + b"\1")
    assert not verify(owner, file_id)["ok"]


def test_a_file_of_no_bytes_is_well(owner: Person) -> None:
    assert verify(owner, store(owner, b""))["ok"]


def test_what_is_gone_has_no_hash(app: Flask, owner: Person) -> None:
    file_id, _other = store(owner, checked_at=LAST_YEAR), store(owner)
    replace_object(app, file_id, None)
    assert verify(owner, file_id) == {"ok": False, "sha256": SHA256, "stored_sha256": None}
    assert noted(app, file_id) == ("missing", True)


def test_it_is_told_once_until_it_is_well_again(app: Flask, owner: Person) -> None:
    file_id = store(owner)
    replace_object(app, file_id, b"something else")
    verify(owner, file_id)
    verify(owner, file_id)
    assert events(app) == ["file.damaged"]
    replace_object(app, file_id, CONTENT)
    assert verify(owner, file_id)["ok"]
    assert events(app) == ["file.damaged", "file.repaired"]
    assert noted(app, file_id) == (None, True)


def test_the_owner_is_notified_and_mailed_once(app: Flask, owner: Person, admin: Person) -> None:
    file_id = store(owner, filename="taxes.pdf")
    replace_object(app, file_id, b"something else")
    verify(admin, file_id)
    tick(app)
    verify(owner, file_id)
    tick(app)
    (told,) = owner.get("/api/notifications").json["items"]
    assert (told["type"], told["title"]) == ("file_damaged", "Damaged: taxes.pdf")
    assert mailed(app) == [("file_damaged", owner.email)]
    assert admin.get("/api/notifications").json["items"] == []


def test_who_switched_the_kind_off_is_not_mailed(app: Flask, owner: Person) -> None:
    owner.patch("/api/auth/me", {"notification_preferences": {"email": {"file_damaged": False}}})
    file_id = store(owner)
    replace_object(app, file_id, b"something else")
    verify(owner, file_id)
    tick(app)
    assert len(owner.get("/api/notifications").json["items"]) == 1
    assert mailed(app) == []


def test_a_store_that_is_away_proves_nothing(app: Flask, owner: Person) -> None:
    file_id = store(owner, bytes(BLOCK_BYTES + 1), checked_at=LAST_YEAR)
    for reads in (0, 1):
        with store_failing(app, after_reads=reads):
            answer = owner.post(f"/api/files/{file_id}/verify")
        assert (answer.status_code, answer.json["code"]) == (503, "storage_unavailable")
    assert noted(app, file_id) == (None, False)
    assert events(app) == []


@pytest.mark.one_database
def test_what_lies_in_a_bad_sector_is_damaged(app: Flask, owner: Person, tmp_path: Path) -> None:
    with store_replaced(app, DiskStorage(tmp_path)):
        file_id = store(owner, checked_at=LAST_YEAR)
        key = key_of(app, file_id)
        make_unreadable(tmp_path / key[:2] / key[2:4] / key)
        assert not verify(owner, file_id)["ok"]
        answer = owner.get(f"/api/files/{file_id}/content")
    assert (answer.status_code, answer.json["code"]) == (410, "file_damaged")
    assert noted(app, file_id) == ("changed", True)


@pytest.mark.one_database("postgresql")
def test_no_connection_is_held_while_it_is_read(app: Flask, owner: Person) -> None:
    held: list[int] = []

    def look() -> None:
        with app.app_context():
            held.append(db.engine.pool.checkedout())  # type: ignore[attr-defined]

    file_id = store(owner)
    with store_failing(app, fail=look):
        assert verify(owner, file_id)["ok"]
    assert held == [0]


def test_a_file_that_is_deleted_while_it_is_read_is_not_found(app: Flask, owner: Person) -> None:
    file_id = store(owner)

    def delete() -> None:
        assert owner.delete(f"/api/files/{file_id}").status_code == 204

    with store_failing(app, fail=delete):
        answer = owner.post(f"/api/files/{file_id}/verify")
    assert (answer.status_code, events(app)) == (404, ["file.deleted"])


def test_two_who_find_the_same_tell_it_once(app: Flask, owner: Person) -> None:
    file_id = store(owner)
    replace_object(app, file_id, b"something else")
    with store_failing(app, fail=lambda: verify_within(app, owner, file_id)):
        assert not verify(owner, file_id)["ok"]
    assert events(app) == ["file.damaged"]


def verify_within(app: Flask, person: Person, file_id: UUID) -> None:
    """Verify from within another verification, in the store that does not fail."""
    with store_whole(app):
        assert not verify(person, file_id)["ok"]


def test_many_reports_at_once_tell_it_once(app: Flask, owner: Person) -> None:
    file_id = store(owner)

    def report(_number: int) -> None:
        with app.app_context():
            report_damage(file_id=file_id, damage="changed")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(report, range(8)))
    assert events(app) == ["file.damaged"]


def test_a_report_of_what_is_known_or_gone_changes_nothing(app: Flask, owner: Person) -> None:
    file_id = store(owner)
    with app.app_context():
        for _ in range(2):
            report_damage(file_id=file_id, damage="missing")
        report_damage(file_id=owner.id, damage="missing")
    assert events(app) == ["file.damaged"]


def test_strangers_find_no_file_and_admins_do(owner: Person, teammate: Person, admin: Person) -> None:
    file_id = store(owner)
    answer = teammate.post(f"/api/files/{file_id}/verify")
    assert (answer.status_code, answer.json["code"]) == (404, "file_not_found")
    assert verify(admin, file_id)["ok"]


@pytest.mark.one_database
def test_a_bucket_is_read_as_a_disk_is(app: Flask, owner: Person, s3_url: str, tmp_path: Path) -> None:
    with store_replaced(app, new_bucket(s3_url, tmp_path)):
        well, changed, missing = (store(owner, bytes(BLOCK_BYTES + 1)) for _ in range(3))
        replace_object(app, changed, bytes(BLOCK_BYTES) + b"\1")
        replace_object(app, missing, None)
        verdicts = [verify(owner, file_id) for file_id in (well, changed, missing)]
    assert [verdict["ok"] for verdict in verdicts] == [True, False, False]
    assert [verdict["stored_sha256"] is None for verdict in verdicts] == [False, False, True]
