"""A whole week under the virtual clock: every component goes by it, so it passes in a moment."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session
from taskapi.schedules.models import Run
from tests.people import Person
from tests.schedules.making import Time, at, make
from tests.schedules.probe import Probe
from tests.work import dispatch_all, run_jobs

MONDAY, NEXT_MONDAY = at("2026-10-19 00:00"), at("2026-10-26 00:00")
# Nothing runs for so long, as while a machine is off.
OUTAGE = (at("2026-10-21 10:30"), at("2026-10-22 01:30"))
PARIS = {"action": "probe", "params": {}, "timezone": "Europe/Paris"}


def live_through(app: Flask, time: Time, until: datetime) -> None:
    """Let time pass from one due time to the next, doing what falls due, but for the outage."""
    while time.now < until:
        with app.app_context():
            wait = dispatch_all()
        run_jobs(app)
        assert wait is not None
        time.pass_(seconds=wait)
        if OUTAGE[0] <= time.now < OUTAGE[1]:
            time.now = OUTAGE[1]


def ledger(app: Flask, schedule: dict[str, Any]) -> list[tuple[datetime, str, str | None]]:
    """Each due time of the schedule with its outcome and reason, oldest first."""
    with app.app_context():
        rows = session().execute(
            sa.select(Run.scheduled_for, Run.status, Run.reason)
            .where(Run.schedule_id == UUID(schedule["id"]), Run.scheduled_for < NEXT_MONDAY)
            .order_by(Run.scheduled_for)
        )
        return [(row.scheduled_for, row.status, row.reason) for row in rows]


def test_each_due_time_of_a_week_is_accounted_for(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    time.now = MONDAY
    interval = make(owner, **PARIS, every="PT6H", starts_at="2026-10-19T00:00:00Z", jitter=600)
    workdays = make(owner, **PARIS, cron="30 8 * * mon-fri", exclude=["2026-10-22"])
    nights = make(owner, **PARIS, rrule="FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0", dst={"repeat": "both"})
    live_through(app, time, NEXT_MONDAY)

    outcomes = ledger(app, interval)
    assert [due for due, _, _ in outcomes] == [MONDAY + timedelta(hours=6 * n) for n in range(7 * 4)]
    assert Counter((status, reason) for _, status, reason in outcomes) == {
        ("completed", None): 26,
        # Three fell into the outage, and the newest of them was caught up on.
        ("skipped", "catch_up"): 2,
    }
    assert [due for due, _, _ in ledger(app, workdays)] == [
        at(f"2026-10-{day} 06:30") for day in (19, 20, 21, 23)
    ]
    # On Sunday 02:30 comes twice, an hour apart.
    assert [due for due, _, _ in ledger(app, nights)] == [
        *(at(f"2026-10-{day} 00:30") for day in range(19, 26)),
        at("2026-10-25 01:30"),
    ]
