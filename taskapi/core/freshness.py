"""Versions of what people see: an answer that was kept is right as long as its version has not changed.

They live in the database and rise in the transaction of a change: whoever has been told of a change
reads the new version, whatever happened to Redis meanwhile.
"""

import random
from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.db import Base, before_commit, insert_into, session

# What all see, such as the name of a tag, changes rarely enough for one row.
EVERYBODY, ANYBODY = "everybody", "anybody"
# What changes for anybody changes for those who see everything. One row would make all writers
# wait for each other; each transaction takes one of these, and readers add them up.
SHARDS = tuple(f"all:{number:x}" for number in range(16))


class DataVersion(Base):
    """How often something changed that a user sees, or that anybody does."""

    __tablename__ = "data_versions"

    key: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    version: Mapped[int] = mapped_column(sa.BigInteger, default=1)


def touch(user_ids: Iterable[UUID | None]) -> None:
    """What these users see changes with the transaction; those who see everything see it, too."""
    before_commit(_raise_versions, ANYBODY)
    for user_id in user_ids:
        if user_id is not None:
            before_commit(_raise_versions, user_id.hex)


def touch_everybody() -> None:
    """What all users see changes with the transaction."""
    touch(())
    before_commit(_raise_versions, EVERYBODY)


def version_for(user_id: UUID, *, sees_all: bool) -> int:
    """Read it before what it is the version of."""
    keys = SHARDS if sees_all else (user_id.hex, EVERYBODY)
    total = sa.select(sa.func.sum(DataVersion.version)).where(DataVersion.key.in_(keys))
    return int(session().scalar(total) or 0)


def _raise_versions(touched: set[str]) -> None:
    keys = (touched - {ANYBODY}) | {random.choice(SHARDS)}  # noqa: S311
    # Sorted, so that two transactions never wait for each other's rows.
    insert = insert_into(DataVersion).values([{"key": key, "version": 1} for key in sorted(keys)])
    raised = {"version": DataVersion.version + 1}
    session().execute(insert.on_conflict_do_update(index_elements=[DataVersion.key], set_=raised))


def leap() -> None:
    """Raise what everybody sees beyond any version there was: the database was replaced by an older one."""
    # So many changes a second are never made, so the clock has not been reached.
    step = int(clock.now().timestamp() * 1000)
    insert = insert_into(DataVersion).values(
        [{"key": key, "version": step} for key in (EVERYBODY, SHARDS[0])]
    )
    raised = {"version": DataVersion.version + step}
    session().execute(insert.on_conflict_do_update(index_elements=[DataVersion.key], set_=raised))
