"""How well runs go, in figures: by action over the runs that somebody sees, and over all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.percentiles import Ranked, seconds_between
from taskapi.schedules.engine import counts
from taskapi.schedules.models import Run, Schedule

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
ENDS = ("completed", "failed", "cancelled", "skipped")
STATUSES = ("active", "paused", "completed", "cancelled")
RECENT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFigures:
    """How the runs of an action went.

    Attributes:
        total: with those that are pending or running.
        success_rate: 0 to 1, among those that completed or failed; None if there are none.
        lag_ms, duration_ms: percentiles as ``p50``, milliseconds; None where nothing has run.
    """

    action: str
    total: int
    completed: int
    failed: int
    cancelled: int
    skipped: int
    lag_ms: dict[str, int | None]
    duration_ms: dict[str, int | None]

    @property
    def success_rate(self) -> float | None:
        ended = self.completed + self.failed
        return self.completed / ended if ended else None


def by_action(
    *, actor: Actor, start: datetime | None = None, end: datetime | None = None
) -> list[ActionFigures]:
    """The figures of each action of which there are runs, by name.

    Args:
        start, end: the due times of the runs lie from the first on, before the second.
    """
    lag = Ranked.within(Run.action, _lag_seconds() * 1000)
    duration = Ranked.within(Run.action, seconds_between(Run.started_at, Run.finished_at) * 1000)
    runs = sa.select(Run.action, Run.status, *lag.labelled("lag"), *duration.labelled("duration"))
    ranked = runs.where(*_conditions(actor, start, end)).subquery()
    counts = [sa.func.count().filter(ranked.c.status == status) for status in ENDS]
    percentiles = [
        Ranked.read(ranked, name).percentile(share)
        for name in ("lag", "duration")
        for share in SHARES.values()
    ]
    grouped = sa.select(ranked.c.action, sa.func.count(), *counts, *percentiles)
    rows = session().execute(grouped.group_by(ranked.c.action).order_by(ranked.c.action))
    return [_figures(*row) for row in rows]


def count_by_status() -> dict[str, int]:
    """How many schedules there are of each status, everybody's together."""
    statement = sa.select(Schedule.status, sa.func.count()).where(Schedule.deleted_at.is_(None))
    rows = session().execute(statement.group_by(Schedule.status))
    return {**dict.fromkeys(STATUSES, 0), **{status: count for status, count in rows}}  # noqa: C416


def count_runs() -> dict[str, int]:
    """How many runs there are of each status, everybody's together."""
    return {"pending": 0, "running": 0, **counts.counted_in_all(None)}


def count_recent_runs(*, hours: float) -> dict[str, int]:
    """The same, of the runs that were made lately."""
    statement = sa.select(Run.status, sa.func.count()).where(_made_within(timedelta(hours=hours)))
    rows = session().execute(statement.group_by(Run.status))
    return {**dict.fromkeys(("pending", "running", *ENDS), 0), **{status: count for status, count in rows}}  # noqa: C416


def recent_lag() -> tuple[float | None, float | None]:
    """Median and 95th percentile of how late runs of the last five minutes began, in seconds."""
    # A run that waits for a ping starts by definition when it is due.
    recent = (_made_within(RECENT), Run.signal_by.is_(None), Run.first_started_at.is_not(None))
    everything: sa.ColumnElement[int] = sa.literal_column("1")
    lag = Ranked.within(everything, _lag_seconds())
    ranked = sa.select(*lag.labelled("lag")).where(*recent).subquery()
    found = Ranked.read(ranked, "lag")
    p50, p95 = session().execute(sa.select(found.percentile(0.5), found.percentile(0.95))).one()
    return p50, p95


def _lag_seconds() -> sa.ColumnElement[float]:
    """As ``Run.lag_ms``: what a backfill runs long after its due time is not late."""
    return sa.case((Run.backfill_id.is_(None), seconds_between(Run.due_at, Run.first_started_at)))


def _made_within(time: timedelta) -> sa.ColumnElement[bool]:
    # Ids begin with the time they were made (RFC 9562, 5.7): the key finds them.
    return Run.id >= UUID(int=int((clock.now() - time).timestamp() * 1000) << 80)


def _conditions(actor: Actor, start: datetime | None, end: datetime | None) -> list[sa.ColumnElement[bool]]:
    return [
        *([] if actor.is_admin else [Run.owner_id == actor.user_id]),
        *([Run.scheduled_for >= start] if start else []),
        *([Run.scheduled_for < end] if end else []),
    ]


def _figures(action: str, total: int, *numbers: float) -> ActionFigures:
    counts, values = numbers[: len(ENDS)], numbers[len(ENDS) :]
    return ActionFigures(
        action=action,
        total=total,
        **dict(zip(ENDS, map(int, counts), strict=True)),
        lag_ms=_percentiles(values[: len(SHARES)]),
        duration_ms=_percentiles(values[len(SHARES) :]),
    )


def _percentiles(values: Sequence[float | None]) -> dict[str, int | None]:
    return {name: None if value is None else round(value) for name, value in zip(SHARES, values, strict=True)}
