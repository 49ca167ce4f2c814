"""What becomes of files when their owner's account is closed."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.batches import VALUES_AT_ONCE, batches
from taskapi.core.closing import Fate
from taskapi.core.db import session
from taskapi.core.events import record_event
from taskapi.files import queries, removal, usage
from taskapi.files.models import FileUsage

BATCH = VALUES_AT_ONCE


def hand_over_files_of(user_id: UUID, heir_id: UUID, actor: Actor | None) -> None:
    """Let all files of a user belong to somebody else, whose quota is not asked: nothing is to be lost."""
    files = queries.lock_files_of(user_id)
    size = sum(file.size for file in files)
    usage.subtract_files(owner_id=user_id, size=size, files=len(files))
    usage.add_file(owner_id=heir_id, size=size, quota=0, files=len(files))
    for file in files:
        file.owner_id = heir_id
        record_event(
            "file.handed_over",
            subject=("file", file.id),
            actor=actor,
            owner_id=heir_id,
            topic_id=file.task_id,
            before={"owner_id": str(user_id)},
            after={"owner_id": str(heir_id)},
        )
    session().flush()


def delete_files_of(user_id: UUID, actor: Actor | None) -> None:
    """Delete all files of a user; that they were deleted stays in the event log, without their names."""
    files = queries.lock_files_of(user_id)
    for some in batches(files, BATCH):
        removal.remove(some, actor=actor, reason="account_closed")
    unused = sa.delete(FileUsage).where(FileUsage.owner_id == user_id)
    session().execute(unused.execution_options(synchronize_session=False))


def foresee_files_of(user_id: UUID, heir_id: UUID | None) -> Sequence[Fate]:
    """What one of the two would do."""
    counts = count_files_of([user_id])
    count, size = counts["files"].get(user_id, 0), counts["storage_bytes"].get(user_id, 0)
    outcome = "handed_over" if heir_id else "deleted"
    return [Fate(thing="files", outcome=outcome, count=count, bytes=size)]


def count_files_of(user_ids: Collection[UUID]) -> Mapping[str, Mapping[UUID, int]]:
    """``files`` of each of the users, and the ``storage_bytes`` that these take."""
    rows = session().execute(
        sa.select(FileUsage.owner_id, FileUsage.files, FileUsage.bytes).where(
            FileUsage.owner_id.in_(user_ids)
        )
    )
    found = {owner_id: (files, size) for owner_id, files, size in rows}
    return {
        "files": {owner_id: files for owner_id, (files, _size) in found.items()},
        "storage_bytes": {owner_id: size for owner_id, (_files, size) in found.items()},
    }
