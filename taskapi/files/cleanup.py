"""Cleaning up: deleting the files of a user, or of all, that are old and whose names match.

Each batch is a transaction of its own, so whoever is killed has only less done, and doing it
again does no harm.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import translate
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import read_database_clock, session, transaction
from taskapi.core.visibility import in_use
from taskapi.files.models import StoredFile
from taskapi.files.queries import lock_files
from taskapi.files.removal import remove

BATCH = 100
# How many rows are looked at in one go; names are compared here, as databases differ over their case.
SCANNED = 1_000

# Where a walk over files stands: when the last one looked at was made, and its id.
Position = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class OldFile:
    id: UUID
    filename: str
    size: int


def find_old_files(
    *, owner_id: UUID | None, older_than: timedelta, name_pattern: str = "*", attached: bool = False
) -> Iterator[list[OldFile]]:
    """Files that were made longer ago than this by the database's clock, oldest first, in batches.

    Args:
        owner_id: whose; None for everybody's.
        name_pattern: with ``*``, ``?`` and ``[…]`` as in a shell, in any case.
        attached: also those that belong to tasks which are still to be done.
    """
    matches = re.compile(translate(name_pattern), re.IGNORECASE).match
    with transaction():
        made_before = read_database_clock() - older_than
    position: Position | None = None
    while True:
        with transaction():
            rows = session().execute(_candidates(owner_id, made_before, position, attached)).all()
        found = [OldFile(id=row.id, filename=row.filename, size=row.size) for row in rows]
        matching = [file for file in found if matches(file.filename)]
        yield from (matching[first : first + BATCH] for first in range(0, len(matching), BATCH))
        if len(rows) < SCANNED:
            return
        position = (rows[-1].created_at, rows[-1].id)


def delete_old_files(*, files: list[OldFile], actor_id: UUID, reason: str) -> list[OldFile]:
    """Delete a batch; those that somebody else has not deleted meanwhile."""
    with transaction():
        there = lock_files([file.id for file in files])
        gone = {file.id for file in there}
        remove(there, actor=actor_id, reason=reason)
    return [file for file in files if file.id in gone]


def _candidates(
    owner_id: UUID | None, made_before: datetime, after: Position | None, attached: bool
) -> sa.Select[UUID, str, int, datetime]:
    columns = (StoredFile.id, StoredFile.filename, StoredFile.size, StoredFile.created_at)
    statement = sa.select(*columns).where(StoredFile.created_at <= made_before)
    if owner_id is not None:
        statement = statement.where(StoredFile.owner_id == owner_id)
    if not attached:
        statement = statement.where(sa.not_(_is_needed()))
    if after is not None:
        made, file_id = sa.literal(after[0], StoredFile.created_at.type), sa.literal(after[1], sa.Uuid())
        position = sa.tuple_(StoredFile.created_at, StoredFile.id)
        statement = statement.where(position > sa.tuple_(made, file_id))
    return statement.order_by(StoredFile.created_at, StoredFile.id).limit(SCANNED)


def _is_needed() -> sa.ColumnElement[bool]:
    """Whether a file belongs to a task that is still to be done; asked of each file's own task only."""
    tasks = in_use("task")
    return tasks.where(tasks.selected_columns[0] == StoredFile.task_id).exists()
