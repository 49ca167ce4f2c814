"""A work-horse that dies of its action: its worker knows, and the run does not wait for its lease to end."""

import os
import signal
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask

from taskapi.background.connection import redis_client
from taskapi.background.worker import TaskWorker
from taskapi.core.db import db, transaction
from taskapi.schedules.actions.base import RunContext
from taskapi.schedules.engine import claims
from taskapi.schedules.jobs import take_back_runs
from tests.people import Person
from tests.schedules.making import Time, make
from tests.schedules.probe import Probe
from tests.work import tick

GONE, ALIVE = "worker/1", "worker/2"


def requested_run(owner: Person) -> UUID:
    schedule = make(owner, action="probe", params={}, cron="0 0 1 1 *")
    return UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])


def claimed_run(owner: Person, process: str) -> UUID:
    run_id = requested_run(owner)
    with transaction():
        claims.claim_run(run_id, worker=process, lease_seconds=20)
    return run_id


@pytest.mark.usefixtures("signal_handlers")
def test_a_run_that_its_process_died_of_is_done_at_once_by_the_next(
    context: Flask, owner: Person, probe: Probe, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"

    def die_the_first_time(_context: RunContext) -> None:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    probe.behave = die_the_first_time
    run_id = requested_run(owner)
    # The work-horse is forked: it must find no connection of ours.
    db.session.remove()
    db.engine.dispose()
    # Until nothing is queued any more: what waits for its lease would be left.
    TaskWorker(context, connection=redis_client()).work(burst=True, logging_level="CRITICAL")
    run = owner.get(f"/api/runs/{run_id}").json
    assert (run["status"], run["attempt"]) == ("completed", 2)


def test_only_what_that_process_had_is_taken_back(
    context: Flask, owner: Person, probe: Probe, time: Time
) -> None:
    lost, other = (claimed_run(owner, process) for process in (GONE, ALIVE))
    take_back_runs(GONE)
    tick(context)
    statuses = [owner.get(f"/api/runs/{run_id}").json["status"] for run_id in (lost, other)]
    assert statuses == ["completed", "running"]


def test_what_is_lost_once_more_waits_for_its_lease(
    context: Flask, owner: Person, probe: Probe, time: Time
) -> None:
    run_id = claimed_run(owner, GONE)
    take_back_runs(GONE)
    with transaction():
        claims.claim_run(run_id, worker=ALIVE, lease_seconds=20)
    take_back_runs(ALIVE)
    run = owner.get(f"/api/runs/{run_id}").json
    assert (run["status"], run["attempt"]) == ("running", 2)


def test_a_run_that_waits_for_its_signal_is_left_alone(context: Flask, owner: Person, time: Time) -> None:
    check = make(owner, action="expect_ping", params={"grace": 60}, every=3600)
    time.pass_(hours=1)
    tick(context)
    take_back_runs(GONE)
    (run,) = owner.get(f"/api/schedules/{check['id']}/runs").json["items"]
    assert run["status"] == "running"
