"""How well runs go, in figures: by action, over the runs that somebody sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.percentiles import Ranked, seconds_between
from taskapi.schedules.models import Run

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
ENDS = ("completed", "failed", "cancelled", "skipped")


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
    lag = Ranked.within(Run.action, seconds_between(Run.due_at, Run.first_started_at) * 1000)
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
