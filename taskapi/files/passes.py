"""A check of all files, one after the other, which goes on where it was interrupted.

Where a pass stands is committed with what it found, batch by batch: whoever is killed has the
last batch to do again, which changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import read_database_clock, session, transaction
from taskapi.core.errors import Conflict, NotFound
from taskapi.files.integrity import Recorded, Verdict, note_checks, read_content, recorded_files
from taskapi.files.models import CHANGED, MISSING, IntegrityPass, StoredFile

# What is done again after a crash, and how often a pass writes.
BATCH_FILES = 100
BATCH_BYTES = 64 * 1_048_576


class NoPassToResume(NotFound):
    """Every check of all files has come to its end; begin a new one."""

    code = "no_pass_to_resume"
    title = "No check to resume"
    of_commands = True


class PassTakenOver(Conflict):
    """Another process goes on with the same check of all files."""

    code = "pass_taken_over"
    title = "Check taken over"
    of_commands = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PassProgress:
    """Where a pass stands.

    Attributes:
        remaining: bytes of the files that it has not looked at.
    """

    id: UUID
    owner_id: UUID | None
    started_at: datetime
    after_id: UUID | None
    files: int
    bytes: int
    changed: int
    missing: int
    remaining: int


def begin_pass(*, owner_id: UUID | None = None) -> PassProgress:
    """Begin a check of all files that are there now, or of one user's."""
    with transaction():
        row = IntegrityPass(
            owner_id=owner_id, started_at=read_database_clock(), files=0, bytes=0, changed=0, missing=0
        )
        session().add(row)
        session().flush()
        return _progress(row, remaining=_remaining(row))


def resume_pass(*, owner_id: UUID | None = None) -> PassProgress:
    """The newest check that has not come to its end.

    Args:
        owner_id: of whose files; None for whichever it is.

    Raises:
        NoPassToResume
    """
    unfinished = sa.select(IntegrityPass).where(IntegrityPass.finished_at.is_(None))
    if owner_id is not None:
        unfinished = unfinished.where(IntegrityPass.owner_id == owner_id)
    with transaction():
        row = session().scalar(unfinished.order_by(IntegrityPass.id.desc()).limit(1))
        if row is None:
            raise NoPassToResume("There is no interrupted check to resume; begin one without --resume.")
        return _progress(row, remaining=_remaining(row))


def continue_pass(progress: PassProgress) -> Iterator[PassProgress]:
    """Check batch by batch what remains, and tell after each where the pass stands.

    Raises:
        StorageUnavailable: the pass can be resumed.
        PassTakenOver
    """
    while batch := _next_batch(progress):
        verdicts = [(file, read_content(file)) for file in batch]
        with transaction():
            there = note_checks({file.id: verdict.damage for file, verdict in verdicts})
            progress = _advance(progress, verdicts, there)
        session().expunge_all()
        yield progress
    with transaction():
        _lock(progress).finished_at = read_database_clock()


def _theirs(row: PassProgress | IntegrityPass) -> list[sa.ColumnElement[bool]]:
    """What a pass still has to look at; files that came later are not its business, or it might never end."""
    conditions = [StoredFile.created_at <= row.started_at]
    if row.owner_id is not None:
        conditions.append(StoredFile.owner_id == row.owner_id)
    if row.after_id is not None:
        conditions.append(StoredFile.id > row.after_id)
    return conditions


def _next_batch(progress: PassProgress) -> list[Recorded]:
    statement = sa.select(StoredFile).where(*_theirs(progress)).order_by(StoredFile.id)
    found = recorded_files(statement.limit(BATCH_FILES))
    batch: list[Recorded] = []
    total = 0
    for file in found:
        if batch and total + file.size > BATCH_BYTES:
            break
        batch.append(file)
        total += file.size
    return batch


def _advance(
    progress: PassProgress, verdicts: list[tuple[Recorded, Verdict]], there: set[UUID]
) -> PassProgress:
    """Count the files of a batch; one that was deleted meanwhile is not missing."""
    row = _lock(progress)
    counted = [(file, verdict.damage) for file, verdict in verdicts if file.id in there]
    damages = [damage for _file, damage in counted]
    row.after_id = verdicts[-1][0].id
    row.files += len(counted)
    row.bytes += sum(file.size for file, _damage in counted)
    row.changed += damages.count(CHANGED)
    row.missing += damages.count(MISSING)
    session().flush()
    # Summed up again it would cost more with each file there is.
    done = sum(file.size for file, _verdict in verdicts)
    return _progress(row, remaining=max(progress.remaining - done, 0))


def _lock(progress: PassProgress) -> IntegrityPass:
    """The row of a pass, unless somebody else has moved it on since."""
    row = session().get(IntegrityPass, progress.id, with_for_update=True, populate_existing=True)
    if row is None or row.finished_at is not None or row.after_id != progress.after_id:
        raise PassTakenOver("Another process goes on with this check.")
    return row


def _remaining(row: IntegrityPass) -> int:
    total = sa.select(sa.func.coalesce(sa.func.sum(StoredFile.size), 0)).where(*_theirs(row))
    return int(session().execute(total).scalar_one())


def _progress(row: IntegrityPass, *, remaining: int) -> PassProgress:
    return PassProgress(
        id=row.id,
        owner_id=row.owner_id,
        started_at=row.started_at,
        after_id=row.after_id,
        files=row.files,
        bytes=row.bytes,
        changed=row.changed,
        missing=row.missing,
        remaining=remaining,
    )
