"""Removing files: rows, what their owners use, and objects, in one transaction."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.batches import batches
from taskapi.core.db import session
from taskapi.core.events import record_event
from taskapi.files import objects, usage
from taskapi.files.models import StoredFile


def remove(files: Sequence[StoredFile], *, actor: Actor | UUID | None, reason: str | None = None) -> None:
    """Delete files whose rows the caller has locked; their objects go once the transaction has committed.

    Args:
        actor: who does it; None for the system.
        reason: why, when it is not because somebody asked for this file by name.
    """
    if not files:
        return
    for some in batches([file.id for file in files]):
        statement = sa.delete(StoredFile).where(StoredFile.id.in_(some))
        session().execute(statement.execution_options(synchronize_session=False))
    # In one order, or two removals of several owners' files could wait for each other.
    for owner_id in sorted({file.owner_id for file in files}):
        sizes = [file.size for file in files if file.owner_id == owner_id]
        usage.subtract_files(owner_id=owner_id, size=sum(sizes), files=len(sizes))
    objects.discard_objects(file.storage_key for file in files)
    for file in files:
        record_event(
            "file.deleted",
            subject=("file", file.id),
            actor=actor,
            owner_id=file.owner_id,
            topic_id=file.task_id,
            before={"filename": file.filename, "size": file.size, "sha256": file.sha256},
            after={"reason": reason} if reason else None,
        )
        session().expunge(file)
