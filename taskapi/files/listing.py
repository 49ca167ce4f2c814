"""Files as operators see them, with the names of their owners."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.core.db import session
from taskapi.files.models import StoredFile


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """A file; ``owner`` is a username."""

    id: UUID
    owner: str
    filename: str
    content_type: str
    size: int
    sha256: str
    damage: str | None
    created_at: datetime


def list_files(
    *, owner_id: UUID | None = None, damaged: bool = False, limit: int | None = None
) -> list[ListedFile]:
    """Everybody's files or one user's, newest first.

    Args:
        damaged: only those known to be.
    """
    statement = sa.select(StoredFile)
    if owner_id is not None:
        statement = statement.where(StoredFile.owner_id == owner_id)
    if damaged:
        statement = statement.where(StoredFile.damage.is_not(None))
    newest_first = statement.order_by(StoredFile.created_at.desc(), StoredFile.id.desc()).limit(limit)
    files = session().scalars(newest_first).all()
    names = accounts.usernames(user_ids={file.owner_id for file in files})
    same = ("id", "filename", "content_type", "size", "sha256", "damage", "created_at")
    return [
        ListedFile(owner=names.get(file.owner_id, "-"), **{name: getattr(file, name) for name in same})
        for file in files
    ]
