"""Ends of runs as figures: each is counted once, when it is committed."""

from urllib.parse import urlsplit
from uuid import UUID

from flask import Flask

from taskapi.core.db import transaction
from taskapi.schedules.actions.base import ActionFailed, RunContext
from taskapi.schedules.engine import claims, outcomes
from tests.counted import since_now
from tests.people import Person
from tests.schedules.making import Time, make
from tests.schedules.probe import Probe
from tests.work import dispatch_all, tick

PROBE = {"action": "probe", "params": {}, "notify": []}


def test_a_run_that_fails_counts_once_for_all_its_attempts(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    def fail(_context: RunContext) -> None:
        raise ActionFailed("It did not work.")

    probe.behave = fail
    ended, lags = since_now(app, "taskapi_runs_total"), since_now(app, "taskapi_run_lag_seconds")
    schedule = make(owner, **PROBE, cron="0 0 1 1 *", retry={"max_attempts": 2, "delay": 1})
    owner.post(f"/api/schedules/{schedule['id']}/run")
    for _ in range(3):
        tick(app)
        time.pass_(minutes=5)
    assert len(probe.calls) == 2
    assert ended() == {("probe", "failed"): 1}
    assert lags() == {("probe",): 1}


def test_what_is_skipped_or_cancelled_counts_and_took_no_time(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    ended, durations = since_now(app, "taskapi_runs_total"), since_now(app, "taskapi_run_duration_seconds")
    schedule = make(owner, **PROBE, every=60, catch_up="latest")
    time.pass_(minutes=4)
    with app.app_context():
        dispatch_all()
    owner.post(f"/api/schedules/{schedule['id']}/cancel")
    assert ended() == {("probe", "skipped"): 3, ("probe", "cancelled"): 1}
    assert durations() == {}


def test_a_ping_counts_as_a_run_but_has_no_lag(app: Flask, owner: Person, time: Time) -> None:
    ended, lags = since_now(app, "taskapi_runs_total"), since_now(app, "taskapi_run_lag_seconds")
    schedule = make(owner, action="expect_ping", params={"grace": 60}, every=60)
    time.pass_(seconds=60)
    tick(app)
    owner.client.get(urlsplit(schedule["ping_url"]).path)
    tick(app)
    assert ended() == {("expect_ping", "completed"): 1}
    assert lags() == {}


def test_an_end_that_was_rolled_back_or_is_not_ones_own_does_not_count(
    context: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, **PROBE, cron="0 0 1 1 *")
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
    with transaction():
        claims.claim_run(run_id, worker="w", lease_seconds=20)
    ended = since_now(context, "taskapi_runs_total")
    try:
        with transaction():
            outcomes.complete(run_id=run_id, attempt=1, result=None)
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    with transaction():
        assert outcomes.complete(run_id=run_id, attempt=7, result=None) is None
    assert ended() == {}
    with transaction():
        outcomes.complete(run_id=run_id, attempt=1, result=None)
    assert ended() == {("probe", "completed"): 1}
