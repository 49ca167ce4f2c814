"""Whether what lies in the store is what was uploaded, and what is told when it is not.

Contents are read outside of any transaction; what was found is written afterwards, in a short one.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
import structlog

from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import ObjectMissing, Storage
from taskapi.core.access import Actor
from taskapi.core.db import on_commit, read_database_clock, session, transaction
from taskapi.core.events import record_event
from taskapi.core.incoming import BLOCK_BYTES
from taskapi.files import queries
from taskapi.files.errors import StoredFileNotFound
from taskapi.files.models import CHANGED, MISSING, SAMPLED_AT_MOST_EVERY, StoredFile

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What is known of a file's content, copied from the row: no connection is held while it is read."""

    id: UUID
    key: str
    sha256: str
    size: int

    @classmethod
    def of(cls, file: StoredFile) -> "Recorded":
        return cls(id=file.id, key=file.storage_key, sha256=file.sha256, size=file.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found: SHA-256 of what is stored now, None where nothing is.

    Attributes:
        sha256: as it was when the file was uploaded.
    """

    sha256: str
    stored_sha256: str | None

    @property
    def damage(self) -> str | None:
        if self.stored_sha256 is None:
            return MISSING
        return None if self.ok else CHANGED

    @property
    def ok(self) -> bool:
        return self.stored_sha256 == self.sha256


def verify_file(*, actor: Actor, file_id: UUID) -> Verdict:
    """Read the content of a file that the actor may see, and note what was found.

    Raises:
        StoredFileNotFound: also when it is deleted meanwhile.
        StorageUnavailable: nothing is known, so nothing is noted.
    """
    found = recorded_files(queries.visible_files(actor).where(StoredFile.id == file_id))
    if not found:
        raise StoredFileNotFound
    verdict = read_content(found[0])
    with transaction():
        if not note_checks({file_id: verdict.damage}):
            raise StoredFileNotFound
    return verdict


def recorded_files(statement: sa.Select[StoredFile]) -> list[Recorded]:
    """What is known of the files that a query gives; the connection is given back."""
    found = [Recorded.of(file) for file in session().scalars(statement)]
    session().rollback()
    return found


def read_content(file: Recorded) -> Verdict:
    """Read all that is stored of a file, a MiB at a time, and compare.

    Raises:
        StorageUnavailable
    """
    return Verdict(sha256=file.sha256, stored_sha256=_stored_sha256(current_storage(), file.key))


def _stored_sha256(storage: Storage, key: str) -> str | None:
    try:
        reader = storage.open(key)
    except ObjectMissing:
        return None
    digest = hashlib.sha256()
    try:
        while piece := reader.read(BLOCK_BYTES):
            digest.update(piece)
    finally:
        reader.close()
    return digest.hexdigest()


def note_checks(found: Mapping[UUID, str | None]) -> set[UUID]:
    """Note what was found wrong, or None, with files that were read as a whole; those still there."""
    now, files = read_database_clock(), queries.lock_files(found)
    for file in files:
        file.checked_at, file.next_check_at = now, now + SAMPLED_AT_MOST_EVERY
        _mark(file, found[file.id])
    session().flush()
    return {file.id for file in files}


def report_damage(*, file_id: UUID, damage: str) -> None:
    """Mark a file whose content turned out to be damaged; in a transaction of its own.

    Whoever reports what is known already changes nothing, and so does who reports a file that is gone.
    """
    with transaction():
        for file in queries.lock_files([file_id]):
            _mark(file, damage)


def _mark(file: StoredFile, damage: str | None) -> None:
    """Change what is known of a file's damage, and tell of it; the row is locked."""
    if file.damage == damage:
        return
    before, file.damage = file.damage, damage
    event_type = "file.damaged" if damage else "file.repaired"
    record_event(
        event_type,
        subject=("file", file.id),
        owner_id=file.owner_id,
        before={"damage": before},
        after={"damage": damage, "filename": file.filename, "size": file.size},
    )
    level = log.error if damage else log.warning
    on_commit(level, event_type, file_id=str(file.id), key=file.storage_key, damage=damage)
