"""How much is stored, and what is wrong with it, in figures for those who operate the system."""

import sqlalchemy as sa

from taskapi.core.db import database_now, session
from taskapi.files.models import CHANGED, MISSING, DiscardedObject, FileUsage, StoredFile


def stored() -> tuple[int, int]:
    """How many files there are, and their bytes together."""
    # As counted for each user: adding up all files would take longer with each.
    counted = sa.select(sa.func.sum(FileUsage.files), sa.func.sum(FileUsage.bytes))
    files, size = session().execute(counted).one()
    return int(files or 0), int(size or 0)


def count_faults() -> dict[str, int]:
    """Files whose content is ``missing`` or ``changed``, and objects ``undeleted`` though they are due.

    Each is looked up in a small index.
    """
    damaged = sa.select(StoredFile.damage, sa.func.count()).where(StoredFile.damage.is_not(None))
    counts = {MISSING: 0, CHANGED: 0}
    for kind, count in session().execute(damaged.group_by(StoredFile.damage)).all():
        counts[str(kind)] = count
    # Tried in vain, or not at all; what was announced by an upload in progress is neither.
    waiting = sa.or_(DiscardedObject.due_at <= database_now(), DiscardedObject.attempts > 0)
    undeleted = session().scalar(sa.select(sa.func.count()).select_from(DiscardedObject).where(waiting))
    return {**counts, "undeleted": undeleted or 0}
