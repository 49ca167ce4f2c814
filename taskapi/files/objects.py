"""Objects in the store and the rows that say what becomes of them: nothing is left behind.

Removing is left to a job that begins after the commit; a sweep does what a job did not.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
import structlog

from taskapi.background import names
from taskapi.background.enqueue import JobCall, enqueue
from taskapi.background.names import Queue
from taskapi.clients.storage.base import Storage, StorageFull, StorageUnavailable
from taskapi.core.db import database_now, on_commit, read_database_clock, session, transaction
from taskapi.core.errors import Unavailable
from taskapi.core.ids import new_id
from taskapi.core.upserts import insert_if_new, insert_new
from taskapi.files.models import DiscardedObject, StoredFile

log = structlog.get_logger(__name__)

# Longer than any put takes: the object of an upload in progress must not be removed.
UPLOAD_SECONDS = 6 * 3600
# A store may be asked three times for half a minute each. Who removes an object has it for itself for longer.
JOB_SECONDS, LEASE_SECONDS = 150, 300
# 1 min, 2 min, 4 min … until the store does what it is told.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60, 3600


class UploadExpired(Unavailable):
    """Storing the content took so long that it was given up; nothing was kept."""

    code = "upload_expired"
    title = "Upload expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """The right to remove an object; void once ``attempts`` has changed."""

    id: UUID
    key: str
    attempts: int


def announce_object() -> str:
    """A new key for an object that is about to be stored; in a transaction of its own.

    Unless ``keep_object`` follows, the object is removed some hours later.
    """
    key = secrets.token_hex(16)
    with transaction():
        due_at = database_now(UPLOAD_SECONDS)
        insert_if_new(DiscardedObject, storage_key=key, due_at=due_at, attempts=0)
    return key


def keep_object(key: str) -> None:
    """Make sure that the object stays, in the transaction that makes it a file.

    Raises:
        UploadExpired: its removal has begun.
    """
    # Who removes it raises ``attempts`` first: the lock of the row lets one of the two win.
    announced = sa.delete(DiscardedObject).where(
        DiscardedObject.storage_key == key, DiscardedObject.attempts == 0
    )
    gone = session().execute(announced.returning(DiscardedObject.id)).scalar_one_or_none()
    if gone is None:
        raise UploadExpired


def keep_object_for(key: str, *, seconds: float) -> None:
    """Make sure that an announced object stays so long; then it is removed, unless ``give_up_object`` did.

    Raises:
        UploadExpired: its removal has begun.
    """
    announced = sa.update(DiscardedObject).where(
        DiscardedObject.storage_key == key, DiscardedObject.attempts == 0
    )
    kept = announced.values(due_at=database_now(seconds)).returning(DiscardedObject.id)
    if session().scalar(kept.execution_options(synchronize_session=False)) is None:
        raise UploadExpired


def discard_objects(keys: Iterable[str]) -> None:
    """Have objects removed once the surrounding transaction has committed."""
    found, now = list(keys), read_database_clock()
    insert_new(
        DiscardedObject,
        [{"id": new_id(), "storage_key": key, "due_at": now, "attempts": 0} for key in found],
    )
    on_commit(_enqueue_removals, found)


def give_up_object(key: str) -> None:
    """Have an announced object removed at once: its upload failed. In a transaction of its own.

    If it became a file all the same, because only the answer to the commit was lost, it stays.
    """
    with transaction():
        # Waits for a commit of which nobody knows yet: either it took the row away, or it never will.
        now_due = sa.update(DiscardedObject).where(DiscardedObject.storage_key == key)
        # A claim on it is void, for a removal that began before the object was stored came too early.
        now_due = now_due.values(due_at=database_now(), attempts=DiscardedObject.attempts + 1)
        found = session().scalar(
            now_due.returning(DiscardedObject.id).execution_options(synchronize_session=False)
        )
        if found is None and session().scalar(sa.select(sa.exists().where(StoredFile.storage_key == key))):
            return
        if found is None:
            discard_objects([key])
        else:
            on_commit(_enqueue_removals, [key])


def due_keys(*, limit: int) -> list[str]:
    """Keys of objects to be removed now, longest due first; the connection is given back."""
    due = sa.select(DiscardedObject.storage_key).where(DiscardedObject.due_at <= database_now())
    found = session().scalars(due.order_by(DiscardedObject.due_at).limit(limit)).all()
    session().rollback()
    return list(found)


def remove_object(*, key: str, storage: Storage) -> bool:
    """Remove an object that is due, unless somebody else is about to; whether it is gone.

    What the store refuses is kept and tried again after a pause.
    """
    with transaction():
        claim = _claim(key)
    if claim is None:
        log.debug("object.not_due", key=key)
        return False
    # No transaction is open while the store takes its time.
    try:
        storage.delete(key)
    except (StorageFull, StorageUnavailable) as error:
        with transaction():
            _put_off(claim, reason=type(error.__cause__ or error).__name__)
        return False
    with transaction():
        session().execute(sa.delete(DiscardedObject).where(*_mine(claim)))
    return True


def _claim(key: str) -> _Claim | None:
    due = sa.update(DiscardedObject).where(
        DiscardedObject.storage_key == key, DiscardedObject.due_at <= database_now()
    )
    # Due again after the lease: a worker that dies hands the object on.
    claimed = due.values(attempts=DiscardedObject.attempts + 1, due_at=database_now(LEASE_SECONDS))
    mine = claimed.returning(DiscardedObject.id, DiscardedObject.attempts)
    row = session().execute(mine.execution_options(synchronize_session=False)).one_or_none()
    return _Claim(id=row.id, key=key, attempts=row.attempts) if row else None


def _put_off(claim: _Claim, *, reason: str) -> None:
    # The exponent is bounded, or the pause of the thousandth attempt would not fit into a number.
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(claim.attempts - 1, 10), LONGEST_PAUSE_SECONDS)
    later = sa.update(DiscardedObject).where(*_mine(claim))
    later = later.values(due_at=database_now(pause), last_error=reason)
    session().execute(later.execution_options(synchronize_session=False))
    log.warning("object.removal_put_off", key=claim.key, attempts=claim.attempts, reason=reason, pause=pause)


def _mine(claim: _Claim) -> tuple[sa.ColumnElement[bool], ...]:
    return DiscardedObject.id == claim.id, DiscardedObject.attempts == claim.attempts


def _enqueue_removals(keys: list[str]) -> None:
    enqueue(
        Queue.HOUSEKEEPING,
        [
            JobCall(name=names.REMOVE_OBJECT, args=[key], job_id=f"remove-{key}", timeout=JOB_SECONDS)
            for key in keys
        ],
    )
