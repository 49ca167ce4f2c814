"""Verdicts in words, for short tests."""

from datetime import datetime, timedelta
from uuid import UUID

from taskapi.schedules.timing.triggers import Trigger
from taskapi.schedules.timing.verdicts import MAX_DUE_TIMES, Plan, Policy, plan
from tests.schedules.making import at

SEED = UUID("0198c5a0-0000-7000-8000-000000000001")
NOON = at("2026-11-20 12:00")
HOURLY = Trigger(cron="0 * * * *", starts_at=at("2026-01-01 00:00"))


def verdicts(
    *,
    mark: datetime,
    now: datetime,
    trigger: Trigger = HOURLY,
    has_open_run: bool = False,
    catch_up: str = "latest",
    window: timedelta = timedelta(days=1),
    limit: int = 100,
    overlap: str = "allow",
    pause: tuple[datetime, datetime] | None = None,
    runs_left: int | None = None,
    start_deadline: timedelta | None = None,
    jitter: float = 0.0,
    most: int = MAX_DUE_TIMES,
) -> Plan:
    policy = Policy(
        catch_up=catch_up,
        catch_up_window=window,
        catch_up_limit=limit,
        pause=pause,
        overlap=overlap,
        runs_left=runs_left,
        start_deadline=start_deadline,
        jitter=jitter,
        seed=SEED,
    )
    return plan(trigger, policy, mark=mark, now=now, has_open_run=has_open_run, limit=most)


def words(planned: Plan) -> list[str]:
    """Each verdict as 'hour: runs by …', 'hour: waits' or 'hour: skipped by …'."""
    said = {"run": "{0.trigger}", "wait": "waits", "skip": "skipped by {0.reason}", "replaced": "replaced"}
    return [f"{verdict.at:%H}: " + said[verdict.outcome].format(verdict) for verdict in planned.verdicts]


def reasons(planned: Plan) -> list[str | None]:
    return [verdict.reason for verdict in planned.verdicts]
