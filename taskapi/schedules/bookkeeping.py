"""Tables beside schedules and runs: what runs logged, their counts, users' shares, backfills."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.columns import HasId, UtcDateTime, partial_index
from taskapi.core.db import Base


class RunLogLine(HasId, Base):
    """A line that an action logged while it ran."""

    __tablename__ = "run_log_lines"

    run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    attempt: Mapped[int]
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    level: Mapped[str] = mapped_column(sa.String(10))
    message: Mapped[str] = mapped_column(sa.Text)


class RunCounts(Base):
    """How many runs of a schedule ended how, so that nobody has to count a long history.

    A row of its own: the outcome of a run must not wait for a dispatch of its schedule.
    """

    __tablename__ = "run_counts"

    schedule_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True
    )
    completed: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    failed: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    cancelled: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    skipped: Mapped[int] = mapped_column(sa.BigInteger, default=0)


class RunAllowance(Base):
    """How many runs of a user were handed to the workers in the minute that began at ``since``."""

    __tablename__ = "run_allowances"

    owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    released: Mapped[int] = mapped_column(default=0)


class Backfill(HasId, Base):
    """A past range whose due times are to run: made, or reopened where they were skipped.

    ``mark_at`` moves from ``from_at`` to ``to_at``: every due time before it has been seen to.
    """

    __tablename__ = "backfills"

    schedule_id: Mapped[UUID] = mapped_column(sa.ForeignKey("schedules.id", ondelete="CASCADE"))
    owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    from_at: Mapped[datetime] = mapped_column(UtcDateTime)
    to_at: Mapped[datetime] = mapped_column(UtcDateTime)
    mark_at: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(sa.String(10), default="running")
    created_runs: Mapped[int] = mapped_column(default=0)
    reopened_runs: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        sa.CheckConstraint("status IN ('running', 'completed', 'cancelled')", name="status"),
        sa.Index("ix_backfills_schedule", "schedule_id", "created_at", "id"),
        partial_index("ix_backfills_running", "created_at", where="status = 'running'"),
    )

    @property
    def entity_tag(self) -> str:
        """Changes with each step of the backfill."""
        return f"{self.status}.{self.mark_at.timestamp():.6f}.{self.created_runs}.{self.reopened_runs}"
