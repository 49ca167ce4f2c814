"""What becomes of each due time: run or skipped, and why. Pure rules, without clock or database."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from taskapi.schedules.timing.triggers import Due, Trigger, due_times

# A due time handled later than this was missed, and catch-up decides about it.
MISSED_AFTER = timedelta(seconds=60)
# Bounds the work of one transaction; the high-water mark moves along and the rest comes next.
MAX_DUE_TIMES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a schedule treats due times that were missed or overlap.

    Attributes:
        catch_up: ``skip``, ``latest`` or ``all``, for missed due times.
        catch_up_window: a missed due time older than this is too late.
        catch_up_limit: at most so many missed due times run, the newest ones.
        pause: beginning and end of a pause; due times in it count as missed.
        overlap: ``allow`` or ``skip`` a due time while an earlier run is open.
        runs_left: how many more runs ``max_runs`` allows, None for no bound.
    """

    catch_up: str
    catch_up_window: timedelta
    catch_up_limit: int
    pause: tuple[datetime, datetime] | None
    overlap: str
    runs_left: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One due time, how it arose (``schedule`` or ``catch_up``) and why it is skipped, if it is."""

    at: datetime
    trigger: str
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The verdicts of one round and the next due time, which may be in the past still."""

    verdicts: list[Verdict]
    next_run_at: datetime | None


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
    verdicts: list[Verdict] = []
    left = policy.runs_left
    busy = has_open_run
    for due in _from(trigger, mark):
        if left == 0:
            break
        if due.at > now or len(verdicts) == limit:
            return Plan(verdicts, due.at)
        verdict = missed.judge(due.at)
        if verdict.skipped is None and busy and policy.overlap == "skip":
            verdict = Verdict(due.at, verdict.trigger, "overlap")
        if verdict.skipped is None:
            busy = True
            left = None if left is None else left - 1
        verdicts.append(verdict)
    return Plan(verdicts, None)


def _from(trigger: Trigger, mark: datetime) -> Iterator[Due]:
    return due_times(trigger, after=mark - timedelta(microseconds=1))


class _Missed:
    """Judges missed due times; what lies ahead of one is looked at only if the policy needs it."""

    def __init__(self, trigger: Trigger, policy: Policy, *, now: datetime) -> None:
        self._trigger, self._policy = trigger, policy
        self._late_before = now - MISSED_AFTER
        self._too_old = now - policy.catch_up_window
        self._pause = policy.pause or (now, now)
        self._first_to_run: datetime | None = None

    def judge(self, at: datetime) -> Verdict:
        if not self._is_missed(at):
            return Verdict(at, "schedule")
        left_out = "paused" if self._is_paused(at) else "catch_up"
        if self._policy.catch_up == "skip":
            return Verdict(at, "catch_up", left_out)
        if at < self._too_old:
            return Verdict(at, "catch_up", "too_late")
        if at >= self._newest(at):
            return Verdict(at, "catch_up")
        return Verdict(at, "catch_up", left_out if self._policy.catch_up == "latest" else "catch_up_limit")

    def _is_paused(self, at: datetime) -> bool:
        return self._pause[0] <= at < self._pause[1]

    def _is_missed(self, at: datetime) -> bool:
        return at < self._late_before or self._is_paused(at)

    def _newest(self, at: datetime) -> datetime:
        """The oldest of the newest missed due times that may run, found once by walking ahead."""
        if self._first_to_run is None:
            limit = 1 if self._policy.catch_up == "latest" else self._policy.catch_up_limit
            last_possible = max(self._late_before, self._pause[1])
            kept: deque[datetime] = deque(maxlen=limit)
            for due in _from(self._trigger, self._look_from(at, last_possible, limit)):
                if due.at >= last_possible:
                    break
                if self._is_missed(due.at):
                    kept.append(due.at)
            self._first_to_run = kept[0]
        return self._first_to_run

    def _look_from(self, at: datetime, last_possible: datetime, limit: int) -> datetime:
        """Where the newest ``limit`` can begin: an interval need not be walked from the start."""
        if self._trigger.every is None:
            return at
        # Up to a minute before a pause counts as on time and not as missed.
        reach = timedelta(seconds=self._trigger.every * (limit + 1)) + 2 * MISSED_AFTER
        return max(at, last_possible - reach)
