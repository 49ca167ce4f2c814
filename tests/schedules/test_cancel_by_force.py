"""Cancelling a run whose action does not let itself be stopped: a real worker, a real work-horse."""

import signal
import threading
import time as real_time
from collections.abc import Callable

import pytest
from flask import Flask

from taskapi.background.connection import open_redis
from taskapi.background.worker import TaskWorker
from taskapi.core.db import db
from taskapi.core.runtime import runtime_settings
from taskapi.schedules.actions.base import RunContext
from taskapi.schedules.engine import cancelling
from tests.people import Person
from tests.schedules.making import make
from tests.schedules.probe import Probe


def swallow_everything(_context: RunContext) -> None:
    while True:
        try:
            real_time.sleep(30)
        except BaseException:  # noqa: BLE001 - the worst that an action can do
            continue


def block_in_c(_context: RunContext) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGALRM})
    real_time.sleep(60)


@pytest.mark.parametrize(
    "behave", [swallow_everything, pytest.param(block_in_c, marks=pytest.mark.one_database)]
)
def test_its_process_is_ended_and_the_next_job_is_done(
    app: Flask,
    owner: Person,
    probe: Probe,
    signal_handlers: None,
    monkeypatch: pytest.MonkeyPatch,
    behave: Callable[[RunContext], None],
) -> None:
    monkeypatch.setattr(cancelling, "GRACE_SECONDS", 0.5)
    probe.behave = behave
    schedule = make(owner, action="probe", params={}, cron="0 0 1 1 *")
    run = owner.post(f"/api/schedules/{schedule['id']}/run").json
    after = make(owner, cron="0 0 1 1 *")
    other = owner.post(f"/api/schedules/{after['id']}/run").json

    def cancel_when_it_runs() -> None:
        # What SQLite has locked in this thread would stay locked in a process that is forked meanwhile.
        while worker.horse is None:
            real_time.sleep(0.01)
        while owner.get(f"/api/runs/{run['id']}").json["status"] == "pending":
            real_time.sleep(0.05)
        owner.post(f"/api/runs/{run['id']}/cancel")

    thread = threading.Thread(target=cancel_when_it_runs)
    with app.app_context():
        settings = runtime_settings()
        # The horses are forked: they must find no connection of ours.
        db.engine.dispose()
    worker = TaskWorker(app, connection=open_redis(settings))
    thread.start()
    started = real_time.monotonic()
    worker.work(burst=True, logging_level="ERROR")
    thread.join()
    assert real_time.monotonic() - started < 15
    ended = owner.get(f"/api/runs/{run['id']}").json
    assert (ended["status"], ended["reason"], ended["attempt"]) == ("cancelled", "manual", 1)
    assert owner.get(f"/api/runs/{other['id']}").json["status"] == "completed"
