"""What becomes of each due time: run, wait or skipped, and why. Pure rules, without clock or database.

A due time is handled at its *due moment*: itself and its share of the jitter. Lateness, catch-up,
the deadline and pauses are judged by that moment, in which due times keep their order.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal
from uuid import UUID

from taskapi.schedules.timing.jitter import spread
from taskapi.schedules.timing.triggers import MICROSECOND, Trigger, due_times

# A due time handled later than this was missed, and catch-up decides about it.
MISSED_AFTER = timedelta(seconds=60)
# Bounds the work of one transaction; the high-water mark moves along and the rest comes next.
MAX_DUE_TIMES = 1_000
# How far back the newest missed due times are looked for at first; then four times as far each time.
FIRST_LOOK_BACK = timedelta(minutes=1)

Outcome = Literal["run", "wait", "skip", "replaced"]
# Why a run was skipped or cancelled; the last two are no verdicts.
Reason = Literal[
    "overlap",
    "paused",
    "catch_up",
    "too_late",
    "catch_up_limit",
    "manual",
    "schedule_cancelled",
    "owner_inactive",
]
# A due time and its due moment.
Moments = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a schedule treats due times that were missed or overlap.

    Attributes:
        catch_up: ``skip``, ``latest`` or ``all``, for missed due times.
        catch_up_window: a missed due time older than this is too late.
        catch_up_limit: at most so many missed due times run, the newest ones.
        pause: beginning and end of a pause; due times in it count as missed.
        leaves_out_pause: those in the pause are skipped, whatever ``catch_up`` says of the others.
        overlap: while an earlier run is open, a due time runs beside it (``allow``), not at all
            (``skip``), or after it (``queue``), or takes its place (``replace``).
        runs_left: how many more runs ``max_runs`` allows, None for no bound.
        start_deadline: a due time handled later than this is too late.
        jitter: seconds over which due times are spread, by ``seed``, the schedule's id.
    """

    catch_up: str
    catch_up_window: timedelta
    catch_up_limit: int
    pause: tuple[datetime, datetime] | None
    overlap: str
    runs_left: int | None
    start_deadline: timedelta | None
    jitter: float
    seed: UUID
    leaves_out_pause: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one due time.

    Attributes:
        at, due_at: the due time and its due moment.
        trigger: how its run arises, ``schedule`` or ``catch_up``.
        outcome: ``run`` now, ``wait`` behind the runs before it, ``skip``, or ``replaced`` by a
            later due time of the same round.
        reason: why it is skipped or replaced.
    """

    at: datetime
    due_at: datetime
    trigger: str
    outcome: Outcome = "run"
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The verdicts of one round, the next due time, which may be past still, and its due moment."""

    verdicts: list[Verdict]
    next_run_at: datetime | None
    dispatch_at: datetime | None


def plan(
    trigger: Trigger,
    policy: Policy,
    *,
    mark: datetime,
    now: datetime,
    has_open_run: bool,
    limit: int = MAX_DUE_TIMES,
) -> Plan:
    """Give each due time from ``mark`` up to ``now`` its verdict, ``limit`` of them at most.

    Args:
        mark: the first due time that has none yet.
        has_open_run: whether an earlier run of the schedule is pending or running.
    """
    missed = _Missed(trigger, policy, now=now)
    order = _Order(policy, has_open_run=has_open_run)
    for at, due_at in due_moments(trigger, policy, mark=mark):
        if order.left == 0:
            break
        if due_at > now or len(order.verdicts) == limit:
            return Plan(order.verdicts, at, due_at)
        order.add(missed.judge(at, due_at))
    return Plan(order.verdicts, None, None)


def first_moments(trigger: Trigger, policy: Policy, *, mark: datetime) -> Moments | None:
    """The first due time from ``mark`` on and its due moment, None when there is none."""
    return next(due_moments(trigger, policy, mark=mark), None)


def due_moments(trigger: Trigger, policy: Policy, *, mark: datetime) -> Iterator[Moments]:
    """The due times from ``mark`` on, each with its due moment."""
    found = (due.at for due in due_times(trigger, after=mark - MICROSECOND))
    if policy.jitter == 0:
        yield from ((at, at) for at in found)
        return
    for at, next_at in pairwise(_and_none(found)):
        assert at is not None
        yield at, spread(policy.seed, at, jitter=policy.jitter, next_at=next_at)


def _and_none(found: Iterator[datetime]) -> Iterator[datetime | None]:
    yield from found
    yield None


class _Order:
    """The verdicts of a round in their order, and what those that run mean to those behind them."""

    def __init__(self, policy: Policy, *, has_open_run: bool) -> None:
        self.verdicts: list[Verdict] = []
        self.left = policy.runs_left
        self._overlap, self._busy = policy.overlap, has_open_run
        self._to_replace: int | None = None

    def add(self, verdict: Verdict) -> None:
        if verdict.outcome == "run" and self._busy and self._overlap == "skip":
            verdict = replace(verdict, outcome="skip", reason="overlap")
        if verdict.outcome == "run":
            verdict = self._take_turn(verdict)
        self.verdicts.append(verdict)

    def _take_turn(self, verdict: Verdict) -> Verdict:
        if self._overlap == "replace":
            return self._take_place(verdict)
        waits = self._busy and self._overlap == "queue"
        self._busy = True
        self._count()
        return replace(verdict, outcome="wait") if waits else verdict

    def _take_place(self, verdict: Verdict) -> Verdict:
        """Of a round only the last one stays; it waits for the end of what ran before the round."""
        if self._to_replace is None:
            self._count()
        else:
            earlier = self.verdicts[self._to_replace]
            self.verdicts[self._to_replace] = replace(earlier, outcome="replaced", reason="overlap")
        self._to_replace = len(self.verdicts)
        return replace(verdict, outcome="wait") if self._busy else verdict

    def _count(self) -> None:
        self.left = None if self.left is None else self.left - 1


class _Missed:
    """Judges each due time by itself; others are looked at only if the policy needs it."""

    def __init__(self, trigger: Trigger, policy: Policy, *, now: datetime) -> None:
        self._trigger, self._policy, self._now = trigger, policy, now
        self._late_before = now - MISSED_AFTER
        self._too_old = now - policy.catch_up_window
        self._pause = policy.pause or (now, now)
        self._first_to_run: datetime | None = None

    def judge(self, at: datetime, due_at: datetime) -> Verdict:
        trigger = "catch_up" if self._is_missed(due_at) else "schedule"
        if self._trigger.is_skipped(at):
            return Verdict(at, due_at, "schedule", "skip", "manual")
        reason = self._reason_to_skip(at, due_at)
        return Verdict(at, due_at, trigger, "skip" if reason else "run", reason)

    def _reason_to_skip(self, at: datetime, due_at: datetime) -> Reason | None:
        deadline, missed = self._policy.start_deadline, self._is_missed(due_at)
        is_paused = self._is_paused(due_at)
        if is_paused and self._policy.leaves_out_pause:
            return "paused"
        left_out: Reason = "paused" if is_paused else "catch_up"
        if missed and self._policy.catch_up == "skip":
            return left_out
        if deadline is not None and self._now > due_at + deadline:
            return "too_late"
        if not missed:
            return None
        if due_at < self._too_old:
            return "too_late"
        if due_at >= self._newest(at):
            return None
        return left_out if self._policy.catch_up == "latest" else "catch_up_limit"

    def _is_paused(self, due_at: datetime) -> bool:
        return self._pause[0] <= due_at < self._pause[1]

    def _is_missed(self, due_at: datetime) -> bool:
        return due_at < self._late_before or self._is_paused(due_at)

    def _newest(self, at: datetime) -> datetime:
        """The oldest due moment of the newest missed due times that may run.

        Found once, by looking back from where they end: what is long past need not be walked.
        """
        if self._first_to_run is None:
            limit = 1 if self._policy.catch_up == "latest" else self._policy.catch_up_limit
            last_possible, back = self._end_of_missed(), FIRST_LOOK_BACK
            kept: deque[datetime] = deque()
            begin = last_possible
            while len(kept) < limit and begin > at:
                begin, back = max(at, last_possible - back), back * 4
                kept = deque(self._missed_from(begin, last_possible), maxlen=limit)
            self._first_to_run = kept[0]
        return self._first_to_run

    def _end_of_missed(self) -> datetime:
        if self._policy.leaves_out_pause:
            return self._pause[0]
        return max(self._late_before, self._pause[1])

    def _missed_from(self, begin: datetime, last_possible: datetime) -> Iterator[datetime]:
        for at, due_at in due_moments(self._trigger, self._policy, mark=begin):
            if due_at >= last_possible:
                return
            if self._is_missed(due_at) and not self._trigger.is_skipped(at):
                yield due_at
