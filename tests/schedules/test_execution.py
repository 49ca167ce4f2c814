"""One attempt at a run: claimed once, limited in time, its outcome recorded and fenced."""

import threading
import time as real_time
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from structlog.testing import capture_logs

from taskapi.background.names import Queue
from taskapi.core.db import session, transaction
from taskapi.core.engine import IDLE_IN_TRANSACTION_TIMEOUT_MS
from taskapi.core.events import Event
from taskapi.schedules.actions.base import ActionFailed, RunContext
from taskapi.schedules.engine import claims, execution, lease, outcomes, queueing
from taskapi.schedules.engine.execution import execute_run
from taskapi.schedules.engine.settling import SETTLE_PATIENCE_SECONDS
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.schedules.probe import Probe
from tests.work import dispatch_all, queued, run_jobs, tick

PROBE = {"action": "probe", "params": {}}


def raising(error: BaseException) -> Any:
    def behave(_context: RunContext) -> None:
        raise error

    return behave


def run_once(app: Flask, owner: Person, **fields: Any) -> dict[str, Any]:
    """Make a schedule of the probe due now and do one round; its run."""
    schedule = make(owner, **PROBE, **{"run_at": "2026-11-20T09:00:00Z", **fields})
    tick(app)
    (run,) = runs_of(owner, schedule)
    return run


def test_the_result_is_kept(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    probe.behave = lambda _context: {"answer": 42}
    run = run_once(app, owner)
    assert (run["status"], run["result"]) == ("completed", {"answer": 42})


@pytest.mark.parametrize("result", [object(), {"text": "x" * 70_000}, "a\x00b", "a\ud800b", {1: 2}])
def test_a_result_that_cannot_be_kept_is_said_in_the_log(
    app: Flask, owner: Person, time: Time, probe: Probe, result: object
) -> None:
    probe.behave = lambda _context: result
    run = run_once(app, owner)
    assert (run["status"], run["result"]) == ("completed", None)
    (line,) = owner.get(f"/api/runs/{run['id']}/log").json["items"]
    assert line["level"] == "warning"


def test_a_failure_is_tried_again_after_a_pause_and_then_succeeds(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    probe.behave = raising(RuntimeError("not yet"))
    run = run_once(app, owner, retry={"max_attempts": 3, "delay": 10})
    assert (run["status"], run["attempt"]) == ("pending", 1)
    assert run["error"] == {"code": "exception", "message": "RuntimeError: not yet"}
    probe.behave = lambda _context: "done"
    time.pass_(seconds=10)
    tick(app)
    again = owner.get(f"/api/runs/{run['id']}").json
    assert (again["status"], again["attempt"], again["result"], again["error"]) == (
        "completed",
        2,
        "done",
        None,
    )
    assert again["lag_ms"] == 0, "lag is that of the first start"


def test_a_retry_never_comes_before_its_pause_is_over(
    context: Flask, owner: Person, time: Time, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "retry_delay", lambda *_args, **_kwargs: 10.0)
    probe.behave = raising(RuntimeError("not yet"))
    run_once(context, owner)
    assert dispatch_all() == 10
    assert queued(Queue.RUNS) == []


@pytest.mark.parametrize("message", ["a\x00b", "a\ud800b", "x" * 10_000])
def test_a_failure_with_an_odd_message_is_recorded(
    app: Flask, owner: Person, time: Time, probe: Probe, message: str
) -> None:
    probe.behave = raising(ValueError(message))
    run = run_once(app, owner, retry={"max_attempts": 1})
    assert (run["status"], run["error"]["code"]) == ("failed", "exception")


def test_not_a_number_is_kept_as_null(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    probe.behave = lambda _context: [float("nan")]
    assert run_once(app, owner)["result"] == [None]


def test_after_the_last_attempt_it_has_failed(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    probe.behave = raising(ActionFailed("the door is locked", code="locked"))
    run = run_once(app, owner, retry={"max_attempts": 2, "delay": 1})
    time.pass_(seconds=1)
    tick(app)
    run = owner.get(f"/api/runs/{run['id']}").json
    assert (run["status"], run["attempt"]) == ("failed", 2)
    assert run["error"] == {"code": "locked", "message": "the door is locked"}
    assert owner.get(f"/api/schedules/{run['schedule_id']}").json["status"] == "completed"


def test_a_permanent_failure_is_not_tried_again(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    probe.behave = raising(ActionFailed("gone", permanent=True))
    assert run_once(app, owner)["status"] == "failed"
    assert len(probe.calls) == 1


def test_an_action_that_is_no_longer_installed_fails_in_words(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, **PROBE, run_at="2026-11-20T09:00:00Z")
    with app.app_context(), transaction():
        session().execute(sa.update(Schedule).values(action="gone"))
    tick(app)
    (run,) = runs_of(owner, schedule)
    assert (run["status"], run["error"]["code"]) == ("failed", "unknown_action")


def test_an_action_that_takes_too_long_is_stopped(app: Flask, owner: Person, probe: Probe) -> None:
    probe.behave = lambda _context: real_time.sleep(30)
    schedule = make(owner, **PROBE, cron="0 0 1 1 *", timeout=1, retry={"max_attempts": 1})
    run = owner.post(f"/api/schedules/{schedule['id']}/run").json
    started = real_time.monotonic()
    run_jobs(app)
    assert real_time.monotonic() - started < 5
    run = owner.get(f"/api/runs/{run['id']}").json
    assert (run["status"], run["error"]["code"]) == ("failed", "timeout")


def test_even_an_action_that_swallows_every_exception_is_stopped(
    app: Flask, owner: Person, probe: Probe
) -> None:
    def stubborn(_context: RunContext) -> None:
        while True:
            with suppress(Exception):
                real_time.sleep(30)

    probe.behave = stubborn
    schedule = make(owner, **PROBE, cron="0 0 1 1 *", timeout=1, retry={"max_attempts": 1})
    run = owner.post(f"/api/schedules/{schedule['id']}/run").json
    run_jobs(app)
    assert owner.get(f"/api/runs/{run['id']}").json["error"]["code"] == "timeout"


def test_twenty_workers_at_once_run_it_once(app: Flask, owner: Person, probe: Probe) -> None:
    schedule = make(owner, **PROBE, cron="0 0 1 1 *")
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
    claimed = []

    def claim(number: int) -> None:
        with app.app_context(), transaction():
            if claims.claim_run(run_id, worker=str(number), lease_seconds=20) is not None:
                claimed.append(number)

    threads = [threading.Thread(target=claim, args=[number]) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 1


def test_a_worker_that_lost_its_run_changes_nothing(context: Flask, owner: Person, probe: Probe) -> None:
    schedule = make(owner, **PROBE, cron="0 0 1 1 *")
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])

    def lose_it(_context: RunContext) -> str:
        # Meanwhile the lease ran out and another worker took over.
        with transaction():
            session().execute(sa.update(Run).where(Run.id == run_id).values(attempt=2, worker="another"))
        return "too late"

    probe.behave = lose_it
    with capture_logs() as lines:
        execute_run(run_id=run_id, worker="slow")
    assert "run.fenced" in [line["event"] for line in lines]
    run = owner.get(f"/api/runs/{run_id}").json
    assert (run["status"], run["attempt"], run["worker"], run["result"]) == ("running", 2, "another", None)
    assert session().scalar(sa.select(sa.func.count()).where(Event.type == "run.completed")) == 0


def test_a_lock_that_a_stopped_process_holds_ends_before_the_lease_of_who_waits_for_it() -> None:
    waited = IDLE_IN_TRANSACTION_TIMEOUT_MS / 1000
    assert lease.HEARTBEAT_SECONDS + waited < lease.LEASE_SECONDS


def test_the_lease_is_renewed_while_the_action_works(
    context: Flask, owner: Person, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_keeper", lease.Keeper())
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.05)
    schedule = make(owner, **PROBE, cron="0 0 1 1 *")
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
    leases = []

    def look_twice(_context: RunContext) -> None:
        for _ in range(2):
            leases.append(session().scalar(sa.select(Run.lease_until).where(Run.id == run_id)))
            session().rollback()
            real_time.sleep(0.4)

    probe.behave = look_twice
    execute_run(run_id=run_id, worker="steady")
    assert leases[0] is not None
    assert leases[1] is not None
    assert leases[1] > leases[0]
    assert session().scalar(sa.select(Run.lease_until).where(Run.id == run_id)) is None


def test_no_transaction_is_open_while_the_action_works(context: Flask, owner: Person, probe: Probe) -> None:
    schedule = make(owner, **PROBE, cron="0 0 1 1 *")
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
    open_transactions = []
    probe.behave = lambda _context: open_transactions.append(session().in_transaction())
    execute_run(run_id=run_id, worker="polite")
    assert open_transactions == [False]


def test_the_context_tells_an_action_what_it_may_know(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    run = run_once(app, owner, name="Look around")
    (seen,) = probe.calls
    assert (str(seen.run_id), seen.schedule_name, seen.owner_id) == (run["id"], "Look around", owner.id)
    assert (seen.attempt, seen.scheduled_for) == (1, time.now)


def test_a_talkative_action_is_cut(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    def talk(context: RunContext) -> None:
        for number in range(1500):
            context.log(f"{number}\x00" + "x" * 5000)

    probe.behave = talk
    run = run_once(app, owner)
    log = owner.get(f"/api/runs/{run['id']}/log", query_string={"per_page": 100}).json
    assert log["total"] == 1001
    assert len(log["items"][0]["message"]) == 4000


def test_a_reminder_attempted_twice_tells_once(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, run_at="2026-11-20T09:00:00Z", notify=[])
    tick(app)
    (run,) = runs_of(owner, schedule)
    with app.app_context(), transaction():
        # The worker died after the action and before the outcome, so the run is done again.
        session().execute(sa.update(Run).values(status="pending", queued_at=None, retry_at=time.now))
    tick(app)
    assert owner.get(f"/api/runs/{run['id']}").json["attempt"] == 2
    assert owner.get("/api/notifications").json["total"] == 1


def test_what_is_waited_for_before_an_action_takes_nothing_of_its_time() -> None:
    """RQ counts from the job on: the end of the last run and the claim of this one come before."""
    waited_for = SETTLE_PATIENCE_SECONDS + execution.CLAIM_PATIENCE_SECONDS
    assert waited_for < queueing.JOB_TIMEOUT_MARGIN_SECONDS
