"""From due times to runs: claim due schedules, give each due time its verdict, queue the runs.

Any number of schedulers may do this at once. A schedule is claimed by a row lock; the unique
key of ``runs`` decides who owns a due time; Redis is told only after the commit, and what it
misses is queued again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from taskapi.core.arrays import uses_arrays
from taskapi.core.db import read_database_clock, session
from taskapi.schedules.engine import claims, due
from taskapi.schedules.engine.apart import together_or_apart
from taskapi.schedules.engine.backfilling import work_backfills
from taskapi.schedules.engine.cancelling import give_way
from taskapi.schedules.engine.expecting import Ahead, Expected, look_ahead, wait_until
from taskapi.schedules.engine.ordinary import dispatch_ordinary
from taskapi.schedules.engine.planning import plan_cancelled, plan_schedule, policy_of
from taskapi.schedules.engine.queueing import insert_runs, queue_retries, release_held, wait_for_hand_over
from taskapi.schedules.engine.signals import use_early_ping
from taskapi.schedules.engine.skips import record_skips
from taskapi.schedules.models import Schedule
from taskapi.schedules.timing.triggers import MICROSECOND
from taskapi.schedules.timing.verdicts import MAX_DUE_TIMES, Policy

BATCH = 500
# Behind a full one: more share what a transaction costs, and workers have something to do meanwhile.
BACKLOG_BATCH = 2_000
# Of schedules that go the long way: the whole rows take their time, and locks are held meanwhile.
WHOLE_ROWS = 200
# Bounds one transaction in sum: SQLite's only writer is held meanwhile.
MAX_RUNS_PER_BATCH = 500
# Due times of one schedule that are seen to at once, however many others are due.
LEAST_SHARE = 100
# What is due is claimed by other schedulers: look again when they should be done.
OTHERS_ARE_BUSY_SECONDS = 0.02
# Runs beyond their owner's window are held: look again when it should have room. A window that
# runs dry says so by itself.
LOOK_FOR_ROOM_SECONDS = 0.25


_expected = Expected()


def dispatch_due() -> float | None:
    """Dispatch one batch of what is due.

    Returns:
        The seconds until there is something to do: 0.0 when there may be more now, None when
        nothing is planned.
    """
    # To look first would hold up what was seen coming.
    if _expected.is_near() and _dispatch_expected():
        _expected.forget()
        return 0.0
    return _look_and_dispatch()


def _look_and_dispatch() -> float | None:
    # Looking takes no write lock, which SQLite has only one of.
    ahead = look_ahead()
    session().rollback()
    _expected.note(ahead)
    handled = _handle_due(ahead)
    if not (ahead.schedules and due.has_backlog()):
        wait_for_hand_over()
    seconds = OTHERS_ARE_BUSY_SECONDS if ahead.seconds == 0 else _expected.seconds_left(ahead)
    released, some_are_held = release_held() if ahead.held else (0, False)
    # The past only when nothing live is due.
    if handled or released or (ahead.backfills and work_backfills()):
        return 0.0
    return min(LOOK_FOR_ROOM_SECONDS, seconds or LOOK_FOR_ROOM_SECONDS) if some_are_held else seconds


def _handle_due(ahead: Ahead) -> int:
    handled = dispatch_batch() if ahead.schedules else 0
    handled += settle_cancelled() if ahead.unsettled else 0
    return handled + (queue_retries(BATCH) if ahead.retries else 0)


def dispatch_batch(limit: int | None = None) -> int:
    """Handle one batch of due schedules in one transaction; how many were claimed.

    Args:
        limit: at most so many, in the place of as many as seem right.
    """
    limit = limit or (BACKLOG_BATCH if due.has_backlog() else BATCH)

    def claim() -> Sequence[Schedule]:
        return due.claim_due_schedules(min(limit, WHOLE_ROWS))

    def ordinary_first() -> int:
        schedules = due.claim_due(limit)
        if rest := dispatch_ordinary(schedules):
            _handle(claims.lock_schedules(rest[:BATCH]))
        return len(schedules)

    # SQLite unfolds no arrays; who has very many due times has PostgreSQL.
    together = ordinary_first if uses_arrays() else lambda: _handle(claim())
    return together_or_apart(together, claim, _handle)


def _dispatch_expected() -> int:
    """Dispatch what was seen coming; how many schedules.

    What is ordinary is written before it is due, and committed when it is: only then does anybody know.
    """
    until = _expected.try_ahead()
    if until is None:
        return dispatch_batch()

    def ahead() -> int:
        schedules, has_come = due.claim_ahead(BATCH, until)
        ordinary = len(schedules) - len(dispatch_ordinary(schedules))
        if ordinary:
            wait_until(has_come)
        # The rest goes the long way when it is due.
        return ordinary

    return together_or_apart(ahead, lambda: due.claim_due_schedules(WHOLE_ROWS), _handle)


def settle_cancelled(limit: int = BATCH) -> int:
    """Account for due times that passed before their schedule was cancelled; how many schedules."""

    def claim() -> Sequence[Schedule]:
        return due.claim_unsettled_schedules(limit)

    return together_or_apart(lambda: _settle(claim()), claim, _settle)


def _handle(schedules: Sequence[Schedule]) -> int:
    ids = [schedule.id for schedule in schedules]
    now = read_database_clock()
    overlapping, busy = claims.schedules_that_overlap(ids), claims.schedules_with_open_runs(ids)

    def plan(schedule: Schedule, limit: int) -> list[dict[str, Any]]:
        overlaps, has_open_run = schedule.id in overlapping, schedule.id in busy
        return plan_schedule(schedule, now=now, overlaps=overlaps, has_open_run=has_open_run, limit=limit)

    return _insert_planned(schedules, plan)


def judge_until_now(schedule: Schedule, *, limit: int) -> bool:
    """Give the due times of one schedule up to now their verdicts at once; the caller has locked it.

    Those of a pause that is not over are left out, those before it are not. Returns False, with
    the work half done, when more than ``limit`` wait.
    """
    now, judged = read_database_clock(), 0

    def plan(schedule: Schedule, limit: int) -> list[dict[str, Any]]:
        nonlocal judged
        # A due time that its jitter puts off still belongs to the definition that it had.
        until = max(now, schedule.dispatch_at or now)
        rows = plan_schedule(
            schedule,
            now=until,
            overlaps=bool(claims.schedules_that_overlap([schedule.id])),
            has_open_run=claims.has_open_run(schedule.id),
            limit=limit,
            policy=_policy_until(schedule, until),
        )
        judged += len(rows)
        return [_not_after(now, row) for row in rows]

    while schedule.next_run_at is not None and schedule.next_run_at <= now:
        _insert_planned([schedule], plan)
        if judged > limit:
            return False
    return True


def _policy_until(schedule: Schedule, until: datetime) -> Policy:
    """The schedule's policies; what falls due in a pause that is not over is left out."""
    if schedule.status != "paused" or schedule.paused_at is None:
        return policy_of(schedule)
    # A pause ends before its end: the last moment that is judged is still a part of it.
    pause = (schedule.paused_at, until + MICROSECOND)
    return replace(policy_of(schedule), leaves_out_pause=True, pause=pause)


def _not_after(now: datetime, row: dict[str, Any]) -> dict[str, Any]:
    """A run that is made ahead of its jitter is not made, due or finished in the future."""
    times = ("due_at", "created_at", "queued_at", "finished_at")
    return row | {name: min(row[name], now) for name in times if row[name] is not None}


def _settle(schedules: Sequence[Schedule]) -> int:
    now = read_database_clock()
    return _insert_planned(schedules, lambda schedule, limit: plan_cancelled(schedule, now=now, limit=limit))


def _insert_planned(
    schedules: Sequence[Schedule], plan: Callable[[Schedule, int], list[dict[str, Any]]]
) -> int:
    """Insert what ``plan`` gives, up to the bound of a transaction; the rest comes next round."""
    rows: list[dict[str, Any]] = []
    for position, schedule in enumerate(schedules):
        left = MAX_RUNS_PER_BATCH - len(rows)
        if left <= 0:
            break
        # A schedule that missed thousands leaves room for those behind it.
        share = max(left // (len(schedules) - position), LEAST_SHARE)
        rows += plan(schedule, min(left, share, MAX_DUE_TIMES))
    session().flush()
    inserted = insert_runs(rows)
    new = [row for row in rows if row["id"] in inserted]
    record_skips(schedules, new)
    _replace_earlier_runs(schedules, new)
    _use_early_pings(schedules, {row["schedule_id"] for row in new})
    return len(schedules)


def _replace_earlier_runs(schedules: Sequence[Schedule], new: Sequence[dict[str, Any]]) -> None:
    latest = {row["schedule_id"]: row["id"] for row in new if row["status"] == "pending"}
    for schedule in schedules:
        if schedule.overlap == "replace" and schedule.id in latest:
            give_way(schedule.id, to=latest[schedule.id])


def _use_early_pings(schedules: Sequence[Schedule], handled: set[UUID]) -> None:
    for schedule in schedules:
        if schedule.early_ping is not None and schedule.id in handled:
            use_early_ping(schedule)
