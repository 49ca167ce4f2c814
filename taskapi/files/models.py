"""Files: what is known of each, what each user uses, what is to be removed, and passes over all."""

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.columns import HasId, UtcDateTime, partial_index
from taskapi.core.db import Base
from taskapi.core.folding import folded

MISSING, CHANGED = "missing", "changed"
# In the order of the bytes, as stores list their objects, whatever the database's language is.
KEY = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
SAMPLED_AT_MOST_EVERY = timedelta(hours=24)


def _name_key(context: DefaultExecutionContext) -> str:
    return folded(context.get_current_parameters()["filename"])  # type: ignore[no-untyped-call]


class StoredFile(HasId, Base):
    """A file whose content lies in the store; nothing of it changes but the task it belongs to.

    Attributes:
        storage_key: random: nothing that a client sent names an object.
        blocks: SHA-256 of each MiB, 32 bytes each, so that a part can be checked before it is served.
        damage: what was wrong when the content was read last; None while it is as it was uploaded.
        checked_at: when the whole content was read and compared last, at first when it came.
        next_check_at: when a sample may take it up; moved on before it is read.
    """

    __tablename__ = "files"

    owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    filename: Mapped[str] = mapped_column(sa.String(255))
    # What searches compare, whatever the database knows of letters.
    name_key: Mapped[str] = mapped_column(sa.Text, default=_name_key)
    content_type: Mapped[str] = mapped_column(sa.String(127))
    size: Mapped[int] = mapped_column(sa.BigInteger)
    sha256: Mapped[str] = mapped_column(sa.String(64))
    blocks: Mapped[bytes] = mapped_column(sa.LargeBinary, deferred=True)
    storage_key: Mapped[str] = mapped_column(KEY, unique=True)
    task_id: Mapped[UUID | None] = mapped_column(sa.Uuid)
    damage: Mapped[str | None] = mapped_column(sa.String(10))
    checked_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    next_check_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=lambda: clock.now() + SAMPLED_AT_MOST_EVERY
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)

    __table_args__ = (
        sa.CheckConstraint("damage IN ('missing', 'changed')", name="damage"),
        sa.CheckConstraint("size >= 0", name="size"),
        sa.Index("ix_files_owner", "owner_id", "created_at", "id"),
        sa.Index("ix_files_created", "created_at", "id"),
        sa.Index("ix_files_next_check", "next_check_at", "id"),
        partial_index("ix_files_task", "task_id", where="task_id IS NOT NULL"),
        partial_index("ix_files_damaged", "id", where="damage IS NOT NULL"),
    )

    @property
    def entity_tag(self) -> str:
        """Of what is known of the file; its content has its SHA-256 as tag."""
        return f"{self.id.hex}-{self.task_id.hex if self.task_id else 0}"


class FileUsage(Base):
    """How much of the store a user's files take; a quota is compared with it under its row's lock."""

    __tablename__ = "file_usage"

    owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    bytes: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    files: Mapped[int] = mapped_column(default=0)


class DiscardedObject(HasId, Base):
    """An object that is removed from the store once it is due.

    One is written before an object is stored, due some hours later, and goes in the transaction
    that makes the object a file: whatever dies in between, nothing is left behind.
    """

    __tablename__ = "discarded_objects"

    storage_key: Mapped[str] = mapped_column(sa.String(64), unique=True)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(sa.Text)


class IntegrityPass(HasId, Base):
    """A check of all files, one after the other, that goes on where it was interrupted."""

    __tablename__ = "integrity_passes"

    # Whose files; None: everybody's.
    owner_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The last file that was looked at; the pass goes by id.
    after_id: Mapped[UUID | None] = mapped_column(sa.Uuid)
    files: Mapped[int] = mapped_column(default=0)
    bytes: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    changed: Mapped[int] = mapped_column(default=0)
    missing: Mapped[int] = mapped_column(default=0)
