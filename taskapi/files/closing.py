"""What becomes of files when their owner's account is closed."""

from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.batches import VALUES_AT_ONCE, batches
from taskapi.core.db import session
from taskapi.files import queries, removal
from taskapi.files.models import FileUsage

BATCH = VALUES_AT_ONCE


def delete_files_of(user_id: UUID, actor: Actor) -> None:
    """Delete all files of a user; that they were deleted stays in the event log, without their names."""
    files = queries.lock_files_of(user_id)
    for some in batches(files, BATCH):
        removal.remove(some, actor=actor, reason="account_closed")
    unused = sa.delete(FileUsage).where(FileUsage.owner_id == user_id)
    session().execute(unused.execution_options(synchronize_session=False))
