"""Rules of backfills: having the due times of a past range run after all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.core.access import Actor
from taskapi.core.db import on_commit, read_database_clock, session
from taskapi.core.errors import ValidationFailed
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.schedules import queries
from taskapi.schedules.actions import registry
from taskapi.schedules.bookkeeping import Backfill
from taskapi.schedules.changes import lock_schedule, require_active_owner
from taskapi.schedules.engine import backfilling
from taskapi.schedules.errors import BackfillFinished, BackfillNotFound, ScheduleCancelled
from taskapi.schedules.models import Schedule
from taskapi.schedules.service import get_schedule
from taskapi.schedules.timing.past import due_between
from taskapi.schedules.timing.triggers import LAST_MOMENT, MICROSECOND

MAX_DUE_TIMES = 1_000_000
# A dry run counts while its caller waits.
MAX_DRY_DUE_TIMES = 100_000
# Looked at to tell how dense a long range is.
SAMPLE = 20_000
SHOWN_TIMES = 100
CHUNK = 1_000


@dataclass(slots=True)
class Estimate:
    """What a backfill would do, and the first due times that would run."""

    due_times: int
    to_create: int
    to_reopen: int
    times: Sequence[datetime]

    @property
    def left_alone(self) -> int:
        """Due times that had their run."""
        return self.due_times - self.to_create - self.to_reopen


def start_backfill(*, actor: Actor, schedule_id: UUID, from_at: datetime, to_at: datetime) -> Backfill:
    """Have the due times from ``from_at`` on and before ``to_at`` run, by the scheduler, bit by bit.

    Raises:
        ScheduleNotFound, ScheduleCancelled, ValidationFailed, OwnerInactive
    """
    schedule = lock_schedule(actor, schedule_id)
    require_active_owner(schedule)
    end = _check_range(schedule, from_at, to_at)
    _refuse_too_many(schedule, from_at, end, limit=MAX_DUE_TIMES)
    backfill = Backfill(
        schedule_id=schedule.id,
        owner_id=schedule.owner_id,
        from_at=from_at,
        to_at=end,
        mark_at=from_at,
        status="running",
        created_runs=0,
        reopened_runs=0,
    )
    session().add(backfill)
    session().flush()
    backfilling.record_backfill(backfill, "backfill.started", actor)
    on_commit(wake_scheduler, WAKE_DISPATCH)
    return backfill


def estimate_backfill(*, actor: Actor, schedule_id: UUID, from_at: datetime, to_at: datetime) -> Estimate:
    """What a backfill of this range would do now; nothing is written.

    Raises:
        ScheduleNotFound, ScheduleCancelled, ValidationFailed
    """
    schedule = get_schedule(actor=actor, schedule_id=schedule_id)
    end = _check_range(schedule, from_at, to_at)
    _refuse_too_many(schedule, from_at, end, limit=MAX_DRY_DUE_TIMES)
    estimate, times = Estimate(0, 0, 0, ()), list[datetime]()
    for due in _chunks(due_between(backfilling.past_trigger(schedule, from_at), from_at, end)):
        known = backfilling.runs_at(schedule.id, due)
        would_run = [at for at in due if at not in known or known[at][1] == "skipped"]
        created = sum(at not in known for at in due)
        estimate.due_times += len(due)
        estimate.to_create += created
        estimate.to_reopen += len(would_run) - created
        times += would_run[: SHOWN_TIMES - len(times)]
    estimate.times = times
    return estimate


def list_backfills(*, actor: Actor, schedule_id: UUID, page: PageRequest) -> Page[Backfill]:
    """The backfills of a schedule, newest first.

    Raises:
        ScheduleNotFound
    """
    return queries.page_of_backfills(get_schedule(actor=actor, schedule_id=schedule_id).id, page)


def get_backfill(*, actor: Actor, schedule_id: UUID, backfill_id: UUID) -> Backfill:
    """
    Raises:
        ScheduleNotFound, BackfillNotFound
    """
    schedule = get_schedule(actor=actor, schedule_id=schedule_id)
    backfill = queries.find_backfill(schedule.id, backfill_id)
    if backfill is None:
        raise BackfillNotFound
    return backfill


def cancel_backfill(
    *, actor: Actor, schedule_id: UUID, backfill_id: UUID, condition: Precondition = ANY_VERSION
) -> Backfill:
    """End a backfill; those of its runs that have not started are cancelled.

    Raises:
        ScheduleNotFound, BackfillNotFound, PreconditionFailed, BackfillFinished
    """
    schedule = lock_schedule(actor, schedule_id)
    backfill = backfilling.lock_backfill(backfill_id)
    if backfill is None or backfill.schedule_id != schedule.id:
        raise BackfillNotFound
    # How far it has come meanwhile voids nothing.
    condition.check_tag(backfill.status)
    if backfill.status != "running":
        raise BackfillFinished(f"The backfill has ended: it is {backfill.status}.")
    backfilling.end_backfill(backfill, actor=actor)
    return backfill


def _check_range(schedule: Schedule, from_at: datetime, to_at: datetime) -> datetime:
    """Where the range ends: what the schedule itself has not judged yet is left to it."""
    if schedule.status == "cancelled":
        raise ScheduleCancelled("The schedule was cancelled, which is final.")
    if registry.find(schedule.action).waits is not None:
        raise ValidationFailed({"action": ["Nobody calls for the past: this action waits for a call."]})
    now = read_database_clock()
    if from_at >= to_at:
        raise ValidationFailed({"to": ["The end must come after the beginning."]})
    if from_at > now:
        raise ValidationFailed({"from": ["A backfill begins in the past."]})
    return max(from_at, min(to_at, now + MICROSECOND, schedule.next_run_at or LAST_MOMENT))


def _refuse_too_many(schedule: Schedule, from_at: datetime, end: datetime, *, limit: int) -> None:
    """Refuse a range of more than ``limit`` due times, by its first ones where there are very many."""
    trigger = backfilling.past_trigger(schedule, from_at)
    sample = list(islice(due_between(trigger, from_at, end), SAMPLE))
    if len(sample) < SAMPLE:
        return
    last = end if trigger.ends_at is None else min(end, trigger.ends_at)
    about = round(SAMPLE * ((last - sample[0]) / (sample[-1] - sample[0])))
    if about > limit:
        raise ValidationFailed({"to": [f"These are about {about:,} due times; {limit:,} are allowed."]})


def _chunks(due: Iterator[datetime]) -> Iterator[list[datetime]]:
    while chunk := list(islice(due, CHUNK)):
        yield chunk
