"""POST /api/runs/{id}/cancel"""

import threading
import time as real_time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.schedules.actions.base import RunContext
from taskapi.schedules.engine import claims, lease
from taskapi.schedules.engine.cancelling import end_overdue_cancels
from taskapi.schedules.engine.execution import execute_run
from taskapi.schedules.jobs import rescue_runs
from taskapi.schedules.models import Run
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.schedules.probe import Probe
from tests.work import dispatch_all, run_jobs, tick

PROBE = {"action": "probe", "params": {}, "cron": "0 0 1 1 *"}


def requested_run(owner: Person, **fields: Any) -> dict[str, Any]:
    schedule = make(owner, **{**PROBE, **fields})
    answer = owner.post(f"/api/schedules/{schedule['id']}/run")
    assert answer.status_code == 202, answer.text
    run: dict[str, Any] = answer.json
    return run


def cancel(owner: Person, run: dict[str, Any]) -> dict[str, Any]:
    answer = owner.post(f"/api/runs/{run['id']}/cancel")
    assert answer.status_code == 200, answer.text
    cancelled: dict[str, Any] = answer.json
    return cancelled


def cancelled_while(owner: Person, probe: Probe, work: Callable[[RunContext], Any], **fields: Any) -> Any:
    """A run that somebody cancels as soon as its action works; and how long the action went on."""
    run = requested_run(owner, **fields)

    def behave(context: RunContext) -> Any:
        cancelling = threading.Timer(0.1, cancel, args=[owner, run])
        cancelling.start()
        try:
            return work(context)
        finally:
            cancelling.join()

    probe.behave = behave
    started = real_time.monotonic()
    execute_run(run_id=UUID(run["id"]), worker="obedient")
    return owner.get(f"/api/runs/{run['id']}").json, real_time.monotonic() - started


def test_a_run_that_has_not_started_is_cancelled_at_once(app: Flask, owner: Person, probe: Probe) -> None:
    run = requested_run(owner)
    cancelled = cancel(owner, run)
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "manual")
    run_jobs(app)
    assert probe.calls == []
    with app.app_context():
        event = session().scalars(sa.select(Event).where(Event.type == "run.cancelled")).one()
        assert event.actor_id == owner.id


# Two seconds, and what a busy machine may take.
SOON_SECONDS = 5.0


def test_an_action_in_progress_is_stopped_within_two_seconds(
    context: Flask, owner: Person, probe: Probe
) -> None:
    run, seconds = cancelled_while(owner, probe, lambda _context: real_time.sleep(30))
    assert (run["status"], run["reason"], run["error"], run["attempt"]) == ("cancelled", "manual", None, 1)
    assert run["cancel_requested_at"] is not None
    assert seconds < SOON_SECONDS


def test_not_even_one_that_catches_every_exception_goes_on(
    context: Flask, owner: Person, probe: Probe
) -> None:
    def careful(_context: RunContext) -> None:
        for _ in range(30):
            with suppress(Exception):
                real_time.sleep(1)

    run, seconds = cancelled_while(owner, probe, careful)
    assert run["status"] == "cancelled"
    assert seconds < SOON_SECONDS


def test_an_action_may_ask_whether_it_is_to_stop(context: Flask, owner: Person, probe: Probe) -> None:
    def ask(context: RunContext) -> None:
        while True:
            context.check_cancelled()
            real_time.sleep(0.01)

    run = requested_run(owner)
    probe.behave = ask
    # Signals do not reach this thread.
    thread = threading.Thread(target=in_context(context, execute_run, run_id=UUID(run["id"]), worker="aside"))
    thread.start()
    while owner.get(f"/api/runs/{run['id']}").json["status"] == "pending":
        # The test shares its session with the request, which would see for ever what it saw first.
        session().rollback()
        real_time.sleep(0.01)
    asked = cancel(owner, run)
    assert asked["status"] == "running"
    thread.join(timeout=30)
    assert owner.get(f"/api/runs/{run['id']}").json["status"] == "cancelled"


def in_context(app: Flask, function: Callable[..., object], **arguments: Any) -> Callable[[], None]:
    def call() -> None:
        with app.app_context():
            function(**arguments)

    return call


def test_what_an_action_raises_after_it_was_told_is_no_failure_to_be_tried_again(
    context: Flask, owner: Person, probe: Probe
) -> None:
    def fail_in_time(context: RunContext) -> None:
        while not context.cancelled:
            with suppress(BaseException):
                real_time.sleep(0.01)
        raise ConnectionError("half done")

    run, _seconds = cancelled_while(owner, probe, fail_in_time)
    assert (run["status"], run["reason"]) == ("cancelled", "manual")
    assert run["error"] == {"code": "exception", "message": "ConnectionError: half done"}


def test_an_action_that_succeeds_before_it_is_told_is_completed(
    context: Flask, owner: Person, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who beats tells: however long the request takes, nobody does.
    monkeypatch.setattr(lease._Held, "beat", lambda _held: None)
    run, _seconds = cancelled_while(owner, probe, lambda _context: real_time.sleep(0.3))
    assert (run["status"], run["reason"]) == ("completed", None)


def claimed(owner: Person, run: dict[str, Any]) -> None:
    """A worker has the run, and does not see that it is to stop."""
    with transaction():
        claims.claim_run(UUID(run["id"]), worker="deaf", lease_seconds=20)


def test_a_run_whose_worker_is_deaf_is_ended_by_the_scheduler(
    context: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    run = requested_run(owner)
    claimed(owner, run)
    assert cancel(owner, run)["status"] == "running"
    time.pass_(seconds=7)
    assert end_overdue_cancels() == 0
    time.pass_(seconds=2)
    assert end_overdue_cancels() == 1
    ended = owner.get(f"/api/runs/{run['id']}").json
    assert (ended["status"], ended["reason"]) == ("cancelled", "manual")
    assert end_overdue_cancels() == 0


def test_it_works_while_redis_is_away(
    context: Flask, owner: Person, time: Time, probe: Probe, redis_away: None
) -> None:
    run = requested_run(owner)
    claimed(owner, run)
    cancel(owner, run)
    time.pass_(seconds=9)
    end_overdue_cancels()
    assert owner.get(f"/api/runs/{run['id']}").json["status"] == "cancelled"


def test_a_run_whose_worker_died_meanwhile_is_cancelled_and_not_given_back(
    context: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    run = requested_run(owner)
    claimed(owner, run)
    cancel(owner, run)
    time.pass_(seconds=21)
    rescue_runs()
    ended = owner.get(f"/api/runs/{run['id']}").json
    assert (ended["status"], ended["reason"]) == ("cancelled", "manual")


def test_asking_twice_is_asking_once(context: Flask, owner: Person, time: Time, probe: Probe) -> None:
    run = requested_run(owner)
    claimed(owner, run)
    first = cancel(owner, run)
    time.pass_(seconds=3)
    assert cancel(owner, run)["cancel_requested_at"] == first["cancel_requested_at"]


def test_a_run_that_has_ended_answers_conflict(app: Flask, owner: Person, probe: Probe) -> None:
    run = requested_run(owner)
    run_jobs(app)
    answer = owner.post(f"/api/runs/{run['id']}/cancel")
    assert (answer.status_code, answer.json["code"]) == (409, "run_finished")


def test_a_run_between_two_attempts_is_cancelled_at_once(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    probe.behave = lambda _context: 1 / 0
    run = requested_run(owner)
    run_jobs(app)
    assert cancel(owner, run)["status"] == "cancelled"
    time.pass_(hours=1)
    tick(app)
    assert len(probe.calls) == 1


def test_the_last_run_of_a_schedule_completes_it_when_it_is_cancelled(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, action="probe", params={}, run_at="2026-11-20T09:00:00Z")
    with app.app_context():
        dispatch_all()
    cancel(owner, runs_of(owner, schedule)[0])
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "completed"


def test_a_stranger_cannot_cancel(owner: Person, teammate: Person, probe: Probe) -> None:
    run = requested_run(owner)
    assert teammate.post(f"/api/runs/{run['id']}/cancel").status_code == 404
    assert owner.get(f"/api/runs/{run['id']}").json["status"] == "pending"


def test_the_entity_tag_tells_of_the_request(context: Flask, owner: Person, probe: Probe) -> None:
    run = requested_run(owner)
    claimed(owner, run)
    path = f"/api/runs/{run['id']}"
    tag = owner.get(path).headers["ETag"]
    cancel(owner, run)
    assert owner.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_how_far_a_run_is_voids_nothing_but_the_request_of_another_does(
    context: Flask, owner: Person, probe: Probe
) -> None:
    run = requested_run(owner)
    claimed(owner, run)
    path = f"/api/runs/{run['id']}"
    seen = {"If-Match": owner.get(path).headers["ETag"]}
    with transaction():
        session().get_one(Run, UUID(run["id"])).progress = {"done": 1, "total": 3}
    assert owner.get(path, headers={"If-None-Match": seen["If-Match"]}).status_code == 200
    assert owner.post(f"{path}/cancel", headers=seen).status_code == 200
    assert owner.post(f"{path}/cancel", headers=seen).status_code == 412


def test_a_run_that_waits_for_a_signal_is_cancelled_at_once(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(
        owner, action="expect_ping", params={"grace": 60}, run_at="2026-11-20T09:00:00Z", notify=[]
    )
    with app.app_context():
        dispatch_all()
    (run,) = runs_of(owner, schedule)
    assert run["status"] == "running"
    assert cancel(owner, run)["status"] == "cancelled"
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "completed"
