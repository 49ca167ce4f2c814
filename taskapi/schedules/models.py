"""Schedules and their runs."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.columns import HasId, HasTimestamps, Json, UtcDateTime, partial_index
from taskapi.core.db import Base
from taskapi.core.digests import digest
from taskapi.core.runtime import runtime_settings
from taskapi.schedules.definition import last_pause_of, trigger_of
from taskapi.schedules.timing.triggers import Trigger
from taskapi.schedules.timing.verdicts import Reason

# Why a run was cancelled that did nothing wrong.
SCHEDULE_CANCELLED: Reason = "schedule_cancelled"


class Schedule(HasId, HasTimestamps, Base):
    """What is to be done, when, and by which policies.

    ``next_run_at`` is also the high-water mark: every due time before it has its run.
    """

    __tablename__ = "schedules"

    owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(200))
    action: Mapped[str] = mapped_column(sa.String(80))
    params: Mapped[dict[str, Any]] = mapped_column(Json)
    # Whoever made it might see what administrators see: so do its runs, while its owner is one.
    as_admin: Mapped[bool] = mapped_column(default=False, server_default=sa.false())

    run_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cron: Mapped[str | None] = mapped_column(sa.String(200))
    every: Mapped[float | None] = mapped_column(sa.Double)
    rrule: Mapped[str | None] = mapped_column(sa.Text)
    timezone: Mapped[str] = mapped_column(sa.String(64))
    dst: Mapped[dict[str, Any]] = mapped_column(Json)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    starts_at_given: Mapped[bool]
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Dates (whole days in the schedule's zone) and times that are not due.
    exclude: Mapped[list[str]] = mapped_column(Json, default=list)
    # Due times to come that were left out by hand; each has its skipped run already.
    skips: Mapped[list[str]] = mapped_column(Json, default=list)
    jitter: Mapped[float] = mapped_column(sa.Double, default=0.0)
    max_runs: Mapped[int | None]

    catch_up: Mapped[str] = mapped_column(sa.String(10))
    catch_up_window: Mapped[float] = mapped_column(sa.Double)
    catch_up_limit: Mapped[int]
    overlap: Mapped[str] = mapped_column(sa.String(10))
    timeout: Mapped[float] = mapped_column(sa.Double)
    retry: Mapped[dict[str, Any]] = mapped_column(Json)
    start_deadline: Mapped[float | None] = mapped_column(sa.Double)
    finish_deadline: Mapped[float | None] = mapped_column(sa.Double)
    notify: Mapped[list[str]] = mapped_column(Json)
    alert_after: Mapped[int] = mapped_column(default=1)
    pause_after: Mapped[int | None]

    status: Mapped[str] = mapped_column(sa.String(10), default="active")
    next_run_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When the dispatcher handles next_run_at: that time and its share of the jitter.
    dispatch_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The last pause: due times in it are judged at resume.
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resumed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Held because its owner was switched off: it goes on when they are switched on again.
    paused_with_owner: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    # A cancelled schedule still accounts for the due times between these two.
    unsettled_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    run_count: Mapped[int] = mapped_column(default=0)
    failures_in_row: Mapped[int] = mapped_column(default=0)
    # Of a heartbeat check: who knows it may ping.
    ping_token: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    last_ping_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # A ping that came for the next due time before that was dispatched: when, and what it said.
    early_ping: Mapped[dict[str, Any] | None] = mapped_column(Json)
    # The due time before which it was told already that a ping came which nobody expected.
    ping_told_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Set when the dispatcher could not plan this schedule: it is left alone until then.
    fault: Mapped[str | None] = mapped_column(sa.Text)
    set_aside_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)

    # Only people's changes count: a due time that passes must not void somebody's edit.
    __mapper_args__ = {"version_id_col": version, "version_id_generator": False}
    __table_args__ = (
        sa.CheckConstraint("status IN ('active', 'paused', 'completed', 'cancelled')", name="status"),
        sa.CheckConstraint(
            "(run_at IS NOT NULL AND cron IS NULL AND every IS NULL AND rrule IS NULL)"
            " OR (run_at IS NULL AND cron IS NOT NULL AND every IS NULL AND rrule IS NULL)"
            " OR (run_at IS NULL AND cron IS NULL AND every IS NOT NULL AND rrule IS NULL)"
            " OR (run_at IS NULL AND cron IS NULL AND every IS NULL AND rrule IS NOT NULL)",
            name="one_trigger",
        ),
        sa.Index("ix_schedules_owner", "owner_id", "created_at", "id"),
        partial_index("ix_schedules_created", "created_at", "id", where="deleted_at IS NULL"),
        # What the dispatcher looks at: only schedules that can become due.
        partial_index("ix_schedules_due", "dispatch_at", where="status = 'active'"),
        partial_index("ix_schedules_unsettled", "unsettled_from", where="unsettled_from IS NOT NULL"),
    )

    @property
    def last_pause(self) -> tuple[datetime, datetime] | None:
        """The beginning and end of the last pause that is over."""
        return last_pause_of(self)

    def begin_pause(self, now: datetime) -> None:
        """From now on; a pause whose due times still wait for their verdict is taken as one with this."""
        mark, pause = self.next_run_at, self.last_pause
        if mark is None or pause is None or mark >= pause[1]:
            self.paused_at = now
        self.resumed_at = None

    @property
    def last_run(self) -> "Run | None":
        """The newest run, where ``attach_history`` has looked it up."""
        return self.__dict__.get("_last_run")

    @property
    def stats(self) -> dict[str, int]:
        """How many runs there are of each status, where ``attach_history`` has counted them."""
        stats: dict[str, int] = self.__dict__.get("_stats", {})
        return stats

    @property
    def entity_tag(self) -> str:
        """Changes with the definition, the next due time, the last run, how many came to what, and faults."""
        run = self.last_run and (self.last_run.id, self.last_run.entity_tag)
        judged = (self.next_run_at, self.last_ping_at, self.failures_in_row, self.fault)
        return f"v{self.version}.{self.status[:3]}.{digest(judged, sorted(self.stats.items()), run)}"

    @property
    def ping_url(self) -> str | None:
        """Where an outside job calls, if this is a heartbeat check."""
        return f"{runtime_settings().public_url}/ping/{self.ping_token}" if self.ping_token else None

    @property
    def trigger(self) -> Trigger:
        """When it is due, as the pure rules of ``triggers`` understand it."""
        return trigger_of(self)


class Run(HasId, Base):
    """One due time (or one request to run now), and what became of it.

    ``attempt`` rises with every claim and is in the condition of every later write, so a
    worker that lost its lease changes nothing (a fencing token).
    """

    __tablename__ = "runs"

    schedule_id: Mapped[UUID] = mapped_column(sa.ForeignKey("schedules.id", ondelete="CASCADE"))
    owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    action: Mapped[str] = mapped_column(sa.String(80))
    params: Mapped[dict[str, Any]] = mapped_column(Json)
    trigger: Mapped[str] = mapped_column(sa.String(10))
    scheduled_for: Mapped[datetime] = mapped_column(UtcDateTime)
    # With its share of the jitter: lateness counts from here.
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(sa.String(10))
    reason: Mapped[Reason | None] = mapped_column(sa.String(40))

    attempt: Mapped[int] = mapped_column(default=0)
    lost_attempts: Mapped[int] = mapped_column(default=0)
    # Made before somebody asked for a retry: they do not use up its attempts.
    earlier_attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int]
    timeout: Mapped[float] = mapped_column(sa.Double)
    retry: Mapped[dict[str, Any]] = mapped_column(Json)
    notify: Mapped[list[str]] = mapped_column(Json)

    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    backfill_id: Mapped[UUID | None] = mapped_column(sa.Uuid)
    # Pending behind another run of the schedule, which hands on the turn when it ends.
    waits_for_turn: Mapped[bool] = mapped_column(default=False)
    # When a failed run is due again; NULL for one that is due at once.
    retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    start_by: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finish_by: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When it was told that finish_by had passed.
    overdue_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # A run that waits for a signal from outside, without a worker, waits until then.
    signal_by: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_reason: Mapped[Reason | None] = mapped_column(sa.String(40))
    queued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    first_started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    worker: Mapped[str | None] = mapped_column(sa.String(200))
    progress: Mapped[dict[str, Any] | None] = mapped_column(Json)
    result: Mapped[Any | None] = mapped_column(Json)
    error: Mapped[dict[str, Any] | None] = mapped_column(Json)

    __table_args__ = (
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'skipped')", name="status"
        ),
        # The ledger's promise: one run per due time, whoever inserts it first.
        partial_index(
            "uq_runs_due_time", "schedule_id", "scheduled_for", unique=True, where="trigger <> 'manual'"
        ),
        # What overlap and completion look at: a history may be long, few runs are open.
        partial_index("ix_runs_open", "schedule_id", where="status = 'pending' OR status = 'running'"),
        sa.Index("ix_runs_schedule", "schedule_id", "created_at", "id"),
        sa.Index("ix_runs_owner", "owner_id", "created_at", "id"),
        # The history by each of its filters: for a user who has few among many, and for administrators.
        sa.Index("ix_runs_owner_status", "owner_id", "status", "created_at", "id"),
        sa.Index("ix_runs_owner_action", "owner_id", "action", "created_at", "id"),
        sa.Index("ix_runs_created", "created_at", "id"),
        sa.Index("ix_runs_status", "status", "created_at", "id"),
        sa.Index("ix_runs_action", "action", "created_at", "id"),
        # Where the owner stands last, others pass over what is not theirs.
        sa.Index("ix_runs_scheduled", "scheduled_for", "id", "owner_id"),
        partial_index(
            "ix_runs_trigger", "trigger", "created_at", "id", "owner_id", where="trigger <> 'schedule'"
        ),
        partial_index("ix_runs_reason", "reason", "created_at", "id", "owner_id", where="reason IS NOT NULL"),
        partial_index("ix_runs_pending", "queued_at", where="status = 'pending'"),
        partial_index("ix_runs_leases", "lease_until", where="status = 'running'"),
        # Not in Redis and waiting for nothing but their owner's share of the workers. The words fit no
        # other index: with old statistics a planner would rather read and sort all that is pending.
        partial_index(
            *("ix_runs_held", "owner_id", "due_at"),
            where="status || '' = 'pending' AND queued_at IS NULL AND retry_at IS NULL"
            " AND NOT waits_for_turn",
        ),
        partial_index("ix_runs_waiting", "schedule_id", where="status = 'pending' AND waits_for_turn"),
        partial_index("ix_runs_retries", "retry_at", where="status = 'pending' AND queued_at IS NULL"),
        partial_index(
            "ix_runs_in_flight",
            "owner_id",
            where="(status = 'running' AND signal_by IS NULL)"
            " OR (status = 'pending' AND queued_at IS NOT NULL)",
        ),
        partial_index("ix_runs_backfill", "backfill_id", where="backfill_id IS NOT NULL"),
        partial_index("ix_runs_start_by", "start_by", where="status = 'pending' AND start_by IS NOT NULL"),
        partial_index(
            "ix_runs_finish_by",
            "finish_by",
            where="finish_by IS NOT NULL AND overdue_at IS NULL"
            " AND (status = 'pending' OR status = 'running')",
        ),
        partial_index("ix_runs_signal_by", "signal_by", where="status = 'running' AND signal_by IS NOT NULL"),
        partial_index(
            "ix_runs_cancelling",
            "cancel_requested_at",
            where="status = 'running' AND cancel_requested_at IS NOT NULL",
        ),
    )

    @property
    def state_tag(self) -> str:
        """Changes with each step of the run, and with what somebody asked of it."""
        told = (self.params, self.reason, self.max_attempts, self.finished_at, self.cancel_requested_at)
        return f"a{self.attempt}.{self.status}.{digest(told)}"

    @property
    def entity_tag(self) -> str:
        """Changes also as it gets to a worker, and with what it tells of its progress."""
        progress = sorted((self.progress or {}).items())
        return f"{self.state_tag}.{digest(self.queued_at, progress)}"

    @property
    def lag_ms(self) -> int | None:
        """How late the action first started, in milliseconds; jitter and a backfill make nothing late."""
        return milliseconds(self.due_at, self.first_started_at) if self.backfill_id is None else None

    @property
    def duration_ms(self) -> int | None:
        """How long the last attempt took, in milliseconds."""
        return milliseconds(self.started_at, self.finished_at)

    @property
    def job_id(self) -> str:
        """The id of the RQ job that will make the next attempt."""
        return job_id_of(self.id, self.attempt)


def job_id_of(run_id: UUID | str, attempts: int) -> str:
    """The id of the RQ job that makes the attempt after so many."""
    return f"run-{run_id}-{attempts + 1}"


def milliseconds(start: datetime | None, end: datetime | None) -> int | None:
    """From one time to the other, where both are known."""
    return None if start is None or end is None else round((end - start).total_seconds() * 1000)
