"""Works on imports: a slice at a time, batch by batch, each with where it stands in one transaction.

Whoever is killed has at most the last batch to do again, of which nothing was kept.
"""

import hashlib
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from taskapi.accounts import service as accounts
from taskapi.accounts.actors import actor_of
from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import ObjectMissing, StorageFull, StorageUnavailable
from taskapi.clients.storage.local import disk_errors
from taskapi.core.access import Actor
from taskapi.core.db import session, transaction
from taskapi.core.incoming import PIECE_BYTES
from taskapi.core.repeating import repeatable
from taskapi.tasks.errors import ExternalIdTaken
from taskapi.tasks.importing import lease, outcomes, undoing
from taskapi.tasks.importing.columns import Columns, find_columns
from taskapi.tasks.importing.errors import InvalidImport
from taskapi.tasks.importing.lease import Claim, LeaseLost
from taskapi.tasks.importing.models import TaskImport
from taskapi.tasks.importing.outcomes import Outcome
from taskapi.tasks.importing.reading import Dialect, Record, find_dialect, reading
from taskapi.tasks.importing.rows import Row, RowReader, in_batches
from taskapi.tasks.importing.writing import BatchWriter

log = structlog.get_logger(__name__)

# Then others come first, whose work is in the same queues.
SLICE_SECONDS = 15.0
# How often an import may be taken over without getting further.
MAX_TRIES = 5
# How often somebody else may be quicker with an outside id of the same batch.
MAX_RACES = 3
LOST = "What the store has is not what was sent: send the file again."
INACTIVE = {"code": "account_inactive", "message": "The account of its owner is not active any more."}
GAVE_UP = {"code": "internal_error", "message": "It failed again and again; the log of the worker says why."}


class _OwnerInactive(Exception):
    """Whose tasks they would be has left."""


class _Rehearsed(Exception):
    """Undoes what a trial has done."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What an import reads, and for whom."""

    actor: Actor
    storage_key: str
    sha256: str
    dialect: Dialect | None
    done_rows: int
    dry_run: bool


def work_on(*, import_id: UUID) -> None:
    """Do a slice of an import or of its undoing, unless another worker does; the rest is queued again."""
    with transaction():
        claim = lease.take(import_id)
    if claim is None:
        log.debug("import.not_free", import_id=str(import_id))
        return
    try:
        if not _has_ended(claim):
            with transaction():
                lease.give_back(claim)
    except (StorageFull, StorageUnavailable) as error:
        log.warning("import.put_off", import_id=str(import_id), reason=error.detail)
        with transaction():
            lease.put_off(claim)
    except LeaseLost:
        log.warning("import.taken_over", import_id=str(import_id), attempt=claim.attempt)


def _has_ended(claim: Claim) -> bool:
    """Do a slice; whether nothing is left to do."""
    if claim.tries > MAX_TRIES:
        return _end(claim, "failed", error=GAVE_UP)
    if claim.status == "undoing":
        return undoing.undo_some(claim, stop_at=time.monotonic() + SLICE_SECONDS)
    try:
        return _read_in(claim) and _end(claim, "completed")
    except InvalidImport as error:
        return _end(claim, "failed", error={"code": error.code, "message": error.detail})
    except _OwnerInactive:
        return _end(claim, "failed", error=INACTIVE)


def _end(claim: Claim, status: str, *, error: dict[str, str] | None = None) -> bool:
    with transaction():
        outcomes.end(lease.lock(claim), status, error=error)
    return True


def _read_in(claim: Claim) -> bool:
    """Go on where the import stands; whether its end is reached."""
    source = _source(claim)
    with _content(claim, source) as file:
        dialect = source.dialect or _survey(claim, file)
        with reading(file, dialect) as records:
            reader = RowReader(_columns(records), ZoneInfo(source.actor.timezone))
            done = islice(records, source.done_rows)
            # A task that was made is found by its id, one that would have been made is not.
            known = _ids_in(claim, reader, done) if source.dry_run else {}
            deque(done, maxlen=0)
            # Where it stands takes longer to find the further that is: each slice gets on all the same.
            stop_at = time.monotonic() + SLICE_SECONDS
            writer = BatchWriter(source.actor, reader, known)
            for batch in in_batches(reader.read(record) for record in records):
                _write(claim, writer, batch)
                if time.monotonic() > stop_at:
                    return False
    return True


def _ids_in(claim: Claim, reader: RowReader, records: Iterator[Record]) -> dict[int, int]:
    """In which of the rows that a trial has done each outside id came first, by the hash of the id."""
    known: dict[int, int] = {}
    for record in records:
        if external_id := reader.external_id_of(record):
            known.setdefault(hash(external_id), record.number)
        lease.keep(claim)
    return known


def _source(claim: Claim) -> _Source:
    with transaction():
        row = lease.lock(claim)
        user = accounts.find_users(user_ids=[row.owner_id])[row.owner_id]
        dialect = Dialect(row.encoding, row.delimiter) if row.encoding and row.delimiter else None
        return _Source(
            actor=actor_of(user),
            storage_key=row.storage_key,
            sha256=row.sha256,
            dialect=dialect,
            done_rows=row.done_rows,
            dry_run=row.dry_run,
        )


@contextmanager
def _content(claim: Claim, source: _Source) -> Iterator[BinaryIO]:
    """The file, on this machine: a store would break off while batches are written."""
    storage = current_storage()
    with disk_errors(), tempfile.TemporaryFile(dir=storage.incoming) as file:
        try:
            reader = storage.open(source.storage_key)
        except ObjectMissing as error:
            raise InvalidImport(LOST) from error
        digest = hashlib.sha256()
        try:
            while piece := reader.read(PIECE_BYTES):
                file.write(piece)
                digest.update(piece)
                lease.keep(claim)
        finally:
            reader.close()
        if digest.hexdigest() != source.sha256:
            raise InvalidImport(LOST)
        yield file


def _survey(claim: Claim, file: BinaryIO) -> Dialect:
    """Read all of the file once: what cannot be read is known before anything is written."""
    dialect = find_dialect(file)
    total = 0
    with reading(file, dialect) as records:
        columns = _columns(records)
        for _record in records:
            total += 1
            lease.keep(claim)
    with transaction():
        row = lease.lock(claim)
        row.encoding, row.delimiter = dialect.encoding, dialect.delimiter
        row.ignored_columns, row.total_rows = columns.ignored, total
        row.version += 1
        session().flush()
        outcomes.record_progress(row)
    return dialect


def _columns(records: Iterator[Record]) -> Columns:
    header = next(records, None)
    return find_columns(header.cells if header else [])


def _write(claim: Claim, writer: BatchWriter, rows: Sequence[Row]) -> None:
    for races in range(1, MAX_RACES + 1):
        try:
            _write_once(claim, writer, rows)
            break
        except ExternalIdTaken:
            if races == MAX_RACES:
                raise
    # Memory must not grow with the table.
    session().expunge_all()


@repeatable
def _write_once(claim: Claim, writer: BatchWriter, rows: Sequence[Row]) -> None:
    try:
        with transaction():
            row = lease.lock(claim)
            outcome = _outcome(row, writer, rows)
            outcomes.add(row, outcome)
    except _Rehearsed as trial:
        with transaction():
            outcomes.add(lease.lock(claim), trial.outcome)


def _outcome(row: TaskImport, writer: BatchWriter, rows: Sequence[Row]) -> Outcome:
    if row.owner_id not in accounts.lock_active(user_ids=[row.owner_id]):
        raise _OwnerInactive
    outcome = writer.write(row, rows)
    if row.dry_run:
        raise _Rehearsed(outcome)
    return outcome
