"""What nearly every due time is, told at a glance: the only one, in time, and the next is still to come.

The verdict is the one that ``verdicts.plan`` would give. Whatever is not obvious is left to it.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice

from taskapi.schedules.definition import Definition
from taskapi.schedules.timing.triggers import LAST_MOMENT, MICROSECOND, Trigger, due_times
from taskapi.schedules.timing.verdicts import MISSED_AFTER, Outcome, Plan, Verdict

# A due time and the one that follows it, None where there is none.
Pair = tuple[datetime, datetime | None]


def plan_usual(schedule: Definition, *, mark: datetime, now: datetime, is_busy: bool) -> Plan | None:
    """The plan of a schedule whose due time ``mark`` has come; None if that takes a closer look.

    Args:
        is_busy: whether an earlier run is open that stands in the way.
    """
    outcome = _outcome(schedule, is_busy)
    if outcome is None or _is_bounded(schedule) or not _is_in_time(schedule, mark, now):
        return None
    at, following = _pair(schedule, mark) or (None, None)
    if at != mark or not _is_within(schedule, mark):
        return None
    if following is not None and not _is_within(schedule, following):
        following = None
    if following is not None and following <= now:
        return None
    return Plan([Verdict(mark, mark, "schedule", outcome)], following, following)


def _outcome(schedule: Definition, is_busy: bool) -> Outcome | None:
    if schedule.overlap == "allow" or not is_busy:
        return "run" if schedule.overlap != "replace" else None
    return "wait" if schedule.overlap == "queue" else None


def _is_bounded(schedule: Definition) -> bool:
    return bool(schedule.max_runs is not None or schedule.jitter or schedule.exclude or schedule.skips)


def _is_in_time(schedule: Definition, mark: datetime, now: datetime) -> bool:
    late, deadline = now - mark, schedule.start_deadline
    if late > MISSED_AFTER or (deadline is not None and late > timedelta(seconds=deadline)):
        return False
    return schedule.resumed_at is None or mark >= schedule.resumed_at


def _is_within(schedule: Definition, at: datetime) -> bool:
    return schedule.starts_at <= at < (schedule.ends_at or LAST_MOMENT) <= LAST_MOMENT


def _pair(schedule: Definition, mark: datetime) -> Pair | None:
    """The first due time from ``mark`` on and the one behind it, where that is quickly told."""
    if schedule.run_at is not None:
        return schedule.run_at, None
    if schedule.every is not None:
        return _pair_of_interval(schedule, schedule.every, mark)
    if schedule.cron is not None:
        dst = schedule.dst
        return _pair_of_cron(schedule.cron, schedule.timezone, dst["gap"], dst["repeat"], mark)
    return None


def _pair_of_interval(schedule: Definition, every: float, mark: datetime) -> Pair | None:
    step = timedelta(microseconds=round(every * 1_000_000))
    passed = mark - schedule.starts_at
    if passed % step or (not passed and not schedule.starts_at_given):
        return None
    return mark, mark + step


@lru_cache(maxsize=10_000)
def _pair_of_cron(line: str, timezone: str, gap: str, repeat: str, mark: datetime) -> Pair | None:
    # Many schedules are due by the same line at the same time: each moment is looked for once.
    trigger = Trigger(cron=line, timezone=timezone, gap=gap, repeat=repeat, starts_at=mark)
    found = [due.at for due in islice(due_times(trigger, after=mark - MICROSECOND), 2)]
    return (found[0], found[1]) if len(found) == 2 else None
