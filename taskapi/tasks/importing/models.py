"""Imports of tasks: where each stands, and what it changed, so that it can be undone."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.columns import HasId, Json, UtcDateTime, partial_index
from taskapi.core.db import Base

STATUSES = ("pending", "running", "completed", "failed", "undoing", "undone")
# A worker has something to do for them.
IS_OPEN = sa.text("task_imports.status IN ('pending', 'running', 'undoing')")
UNDO_PERIOD = timedelta(days=7)


class TaskImport(HasId, Base):
    """A table of tasks that workers read in, batch by batch, and in slices between which others come first.

    Attributes:
        storage_key: of the file's content, which is removed as soon as nobody needs it any more.
        people: what persons are called in the file → e-mail or username.
        encoding, delimiter: as they were found.
        attempt: rises whenever a worker takes the import over; what an earlier one still writes is refused.
        lease_until: until then it belongs to the worker that took it.
        tries: how often it was taken over since it last moved.
        errors, warnings: the first of them, ``{row, field, message}``; ``more_…`` counts the others.
        kept: tasks that an undo left in part as somebody else had made them since.
    """

    __tablename__ = "task_imports"

    owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    filename: Mapped[str] = mapped_column(sa.String(255))
    size: Mapped[int] = mapped_column(sa.BigInteger)
    sha256: Mapped[str] = mapped_column(sa.String(64))
    storage_key: Mapped[str] = mapped_column(sa.String(64))
    dry_run: Mapped[bool] = mapped_column(default=False)
    people: Mapped[dict[str, str]] = mapped_column(Json, default=dict, deferred=True)
    encoding: Mapped[str | None] = mapped_column(sa.String(20))
    delimiter: Mapped[str | None] = mapped_column(sa.String(1))
    ignored_columns: Mapped[list[str]] = mapped_column(Json, default=list)
    status: Mapped[str] = mapped_column(sa.String(10), default="pending")
    attempt: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime] = mapped_column(UtcDateTime)
    total_rows: Mapped[int | None] = mapped_column()
    done_rows: Mapped[int] = mapped_column(default=0)
    created: Mapped[int] = mapped_column(default=0)
    updated: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    errors: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list, deferred=True)
    more_errors: Mapped[int] = mapped_column(default=0)
    warnings: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list, deferred=True)
    more_warnings: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, str] | None] = mapped_column(Json)
    undone_by: Mapped[UUID | None] = mapped_column(sa.Uuid)
    kept: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        sa.CheckConstraint(f"status IN {STATUSES}", name="status"),
        sa.Index("ix_task_imports_owner", "owner_id", "created_at", "id"),
        sa.Index("ix_task_imports_created", "created_at", "id"),
        partial_index(
            "ix_task_imports_open", "lease_until", where="status IN ('pending', 'running', 'undoing')"
        ),
    )

    @property
    def undo_until(self) -> datetime | None:
        """Until when it can be undone; None if there is nothing to undo."""
        if self.status not in ("completed", "failed") or self.dry_run or self.finished_at is None:
            return None
        return self.finished_at + UNDO_PERIOD if self.created or self.updated else None


class TaskImportChange(HasId, Base):
    """What an import changed in a task that was there before; an undo takes it back."""

    __tablename__ = "task_import_changes"

    import_id: Mapped[UUID] = mapped_column(sa.ForeignKey("task_imports.id", ondelete="CASCADE"))
    task_id: Mapped[UUID] = mapped_column(sa.ForeignKey("tasks.id", ondelete="CASCADE"))
    before: Mapped[dict[str, Any]] = mapped_column(Json)
    after: Mapped[dict[str, Any]] = mapped_column(Json)

    __table_args__ = (
        sa.Index("ix_task_import_changes_import", "import_id", "id"),
        sa.Index("ix_task_import_changes_task", "task_id"),
    )
