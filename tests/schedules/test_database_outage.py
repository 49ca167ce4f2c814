"""A database that goes away while an action works."""

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from taskapi.background.connection import redis_client
from taskapi.background.worker import warm_up
from taskapi.core import clock
from taskapi.notifications.jobs import deliver_email, sweep_emails
from taskapi.schedules.actions.base import RunContext
from taskapi.schedules.engine import execution, lease
from taskapi.schedules.engine.dispatch import dispatch_due
from taskapi.schedules.engine.execution import execute_run
from tests.notifications.conftest import mail_server, running_mail_server
from tests.notifications.outbox import queue, the_email
from tests.ops.conftest import wait_until
from tests.people import Person
from tests.schedules.making import Time, make
from tests.schedules.probe import Probe
from tests.smtp import MailServer
from tests.work import run_jobs

__all__ = ("mail_server", "running_mail_server")

# SQLite is a file: it does not restart.
on_postgresql = pytest.mark.parametrize("migrated_app", ["postgresql"], indirect=True)


@pytest.fixture
def set_reachable(postgresql_url: str) -> Callable[[bool], None]:
    """Cut every connection and refuse new ones, or take them again."""
    url = sa.make_url(postgresql_url)
    engine = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")

    def switch(reachable: bool) -> None:
        with engine.connect() as connection:
            connection.execute(sa.text(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS {reachable}"))
            if not reachable:
                ours = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
                connection.execute(ours, {"name": url.database})
        engine.dispose()

    return switch


@contextmanager
def back_once(said: str, switch: Callable[[bool], None]) -> Iterator[list[Any]]:
    """The lines of the log; the database is back once this was said in it."""
    with capture_logs() as lines:

        def bring_back() -> None:
            try:
                wait_until(lambda: said in {line["event"] for line in lines}, seconds=10)
            finally:
                switch(True)

        back = threading.Thread(target=bring_back)
        back.start()
        yield lines
        back.join()


@on_postgresql
def test_the_outcome_waits_until_the_database_is_back(
    context: Flask,
    owner: Person,
    probe: Probe,
    set_reachable: Callable[[bool], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lease, "_keeper", lease.Keeper())
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.05)
    schedule = make(owner, action="probe", params={}, cron="0 0 1 1 *")
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])

    def outlive_the_database(told: RunContext) -> str:
        told.log("before")
        set_reachable(False)
        told.log("meanwhile")
        told.progress(1, 2)
        wait_until(lambda: "lease.beat_failed" in {line["event"] for line in lines}, seconds=10)
        return "worth keeping"

    probe.behave = outlive_the_database
    with back_once("database.waited_for", set_reachable) as lines:
        execute_run(run_id=run_id, worker="patient")
    run = owner.get(f"/api/runs/{run_id}").json
    assert (run["status"], run["attempt"], run["result"]) == ("completed", 1, "worth keeping")
    assert run["progress"] == {"done": 1, "total": 2}
    log = owner.get(f"/api/runs/{run_id}/log").json["items"]
    assert [line["message"] for line in log] == ["before", "meanwhile"]


@on_postgresql
def test_a_worker_waits_with_its_job_until_the_database_is_back(
    context: Flask, owner: Person, probe: Probe, set_reachable: Callable[[bool], None]
) -> None:
    schedule = make(owner, action="probe", params={}, cron="0 0 1 1 *")
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
    set_reachable(False)
    with back_once("database.waited_for", set_reachable):
        execute_run(run_id=run_id, worker="patient")
    run = owner.get(f"/api/runs/{run_id}").json
    assert (run["status"], run["attempt"]) == ("completed", 1)


@on_postgresql
def test_a_worker_that_has_waited_long_enough_leaves_the_run_to_the_rescue(
    context: Flask,
    owner: Person,
    probe: Probe,
    set_reachable: Callable[[bool], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(execution, "CLAIM_PATIENCE_SECONDS", 0.3)
    schedule = make(owner, action="probe", params={}, cron="0 0 1 1 *")
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
    set_reachable(False)
    try:
        with pytest.raises(OperationalError):
            execute_run(run_id=run_id, worker="patient")
    finally:
        set_reachable(True)
    assert owner.get(f"/api/runs/{run_id}").json["status"] == "pending"


@on_postgresql
def test_an_email_whose_job_failed_meanwhile_is_sent_once_the_database_is_back(
    context: Flask, mail_server: MailServer, set_reachable: Callable[[bool], None]
) -> None:
    queue()
    email_id = str(the_email().id)
    redis_client().flushdb()
    set_reachable(False)
    try:
        with pytest.raises(OperationalError):
            deliver_email(email_id)
    finally:
        set_reachable(True)
    with Time(clock.now()).running() as time:
        time.pass_(seconds=11)
        sweep_emails()
        run_jobs(context)
    assert len(mail_server.messages) == 1


@on_postgresql
def test_a_worker_starts_though_the_database_has_just_gone(
    context: Flask, set_reachable: Callable[[bool], None]
) -> None:
    set_reachable(False)
    try:
        warm_up(context)
    finally:
        set_reachable(True)
        gc.unfreeze()


@on_postgresql
def test_the_api_says_so_and_recovers(
    context: Flask, owner: Person, set_reachable: Callable[[bool], None]
) -> None:
    set_reachable(False)
    try:
        answer = owner.get("/api/schedules")
    finally:
        set_reachable(True)
    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert owner.get("/api/schedules").status_code == 200


@on_postgresql
def test_dispatch_fails_whole_and_loses_nothing(
    context: Flask, owner: Person, set_reachable: Callable[[bool], None]
) -> None:
    schedule = make(owner, every=1, max_runs=1)
    threading.Event().wait(1.1)
    set_reachable(False)
    try:
        with pytest.raises(sa.exc.OperationalError):
            dispatch_due()
    finally:
        set_reachable(True)
    dispatch_due()
    assert owner.get(f"/api/schedules/{schedule['id']}/runs").json["total"] == 1
