"""How much of the store each user takes, counted in the database beside the files."""

from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import session, transaction
from taskapi.core.upserts import insert_into
from taskapi.files.errors import QuotaExceeded
from taskapi.files.models import FileUsage, StoredFile


def used_by(owner_id: UUID) -> int:
    """Bytes of all files of a user."""
    return session().scalar(sa.select(FileUsage.bytes).where(FileUsage.owner_id == owner_id)) or 0


def check_room(*, owner_id: UUID, size: int, quota: int) -> None:
    """Refuse early what cannot fit, before it is received; ``add_file`` decides.

    Args:
        quota: bytes; 0 is no limit.

    Raises:
        QuotaExceeded
    """
    used = used_by(owner_id) if quota else 0
    if quota and used + size > quota:
        raise _exceeded(size=size, used=used, quota=quota)


def add_file(*, owner_id: UUID, size: int, quota: int, files: int = 1) -> None:
    """Count one more file of a user, unless the quota would be passed; uploads wait for each other here.

    Args:
        files: how many there are, when it is not one; ``size`` is that of all.

    Raises:
        QuotaExceeded
    """
    new = insert_into(FileUsage).values(owner_id=owner_id, bytes=0, files=0).on_conflict_do_nothing()
    session().execute(new)
    more = sa.update(FileUsage).where(FileUsage.owner_id == owner_id)
    if quota:
        more = more.where(FileUsage.bytes + size <= quota)
    more = more.values(bytes=FileUsage.bytes + size, files=FileUsage.files + files).returning(FileUsage.bytes)
    if session().scalar(more.execution_options(synchronize_session=False)) is None:
        raise _exceeded(size=size, used=used_by(owner_id), quota=quota)


def subtract_files(*, owner_id: UUID, size: int, files: int) -> None:
    """Count files of a user as gone: ``size`` bytes together."""
    less = sa.update(FileUsage).where(FileUsage.owner_id == owner_id)
    less = less.values(bytes=FileUsage.bytes - size, files=FileUsage.files - files)
    session().execute(less.execution_options(synchronize_session=False))


def recount() -> int:
    """Set every user's count to what their files sum up to; how many counts were wrong.

    A transaction for each, so that the uploads of all others go on meanwhile.
    """
    owners = session().scalars(sa.select(FileUsage.owner_id)).all()
    session().rollback()
    return sum(_recount(owner_id) for owner_id in owners)


def _recount(owner_id: UUID) -> bool:
    """Whether the user's count was wrong."""
    summed = sa.select(sa.func.coalesce(sa.func.sum(StoredFile.size), 0), sa.func.count())
    with transaction():
        # Locked, so that no upload or removal comes in between; none if the account was closed.
        row = session().get(FileUsage, owner_id, with_for_update=True, populate_existing=True)
        if row is None:
            return False
        size, files = session().execute(summed.where(StoredFile.owner_id == owner_id)).one()
        if (row.bytes, row.files) == (int(size), files):
            return False
        row.bytes, row.files = int(size), files
        return True


def _exceeded(*, size: int, used: int, quota: int) -> QuotaExceeded:
    return QuotaExceeded(f"The file has {size} bytes; {used} of your {quota} bytes are used.")
