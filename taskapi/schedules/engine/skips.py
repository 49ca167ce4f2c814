"""Skipped due times say so: one event for each schedule and round, however many they were."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from taskapi.core.events import record_event
from taskapi.schedules.models import Schedule
from taskapi.schedules.timing.verdicts import Reason

# Why a due time is skipped that was handled too late.
TOO_LATE: Reason = "too_late"


def record_skips(schedules: Iterable[Schedule], rows: Iterable[Mapping[str, Any]]) -> None:
    """Tell of those rows of runs that are skipped, in the transaction that writes them."""
    skipped: dict[UUID, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["status"] == "skipped":
            skipped.setdefault(row["schedule_id"], []).append(row)
    for schedule in schedules:
        if schedule.id in skipped:
            _record(schedule, skipped[schedule.id])


def _record(schedule: Schedule, rows: Sequence[Mapping[str, Any]]) -> None:
    times = sorted(row["scheduled_for"] for row in rows)
    missed = max((row["scheduled_for"] for row in rows if _missed_its_deadline(row)), default=None)
    record_event(
        "schedule.runs_skipped",
        subject=("schedule", schedule.id),
        owner_id=schedule.owner_id,
        after={
            "schedule_name": schedule.name,
            "action": schedule.action,
            "notify": schedule.notify,
            "count": len(rows),
            "reasons": dict(Counter(row["reason"] for row in rows)),
            "first": times[0].isoformat(),
            "last": times[-1].isoformat(),
            "missed": sum(_missed_its_deadline(row) for row in rows),
            "last_missed": missed.isoformat() if missed else None,
        },
    )


def _missed_its_deadline(row: Mapping[str, Any]) -> bool:
    """Whether it is too late by its own deadline, and not by the window of catching up."""
    start_by = row["start_by"]
    return row["reason"] == TOO_LATE and start_by is not None and start_by < row["finished_at"]
