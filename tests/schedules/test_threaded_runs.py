"""Runs whose action only waits for somebody else: many at a time in the threads of a worker."""

import os
import signal
import socket
import threading
import time as real_time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from taskapi.background.connection import redis_client
from taskapi.background.names import RUN_QUEUES, Queue
from taskapi.background.rq_json import JsonQueue
from taskapi.background.worker import TaskWorker
from taskapi.core.db import db
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.base import Action, RunContext
from taskapi.schedules.engine import rescue
from taskapi.schedules.engine.admission import FIRST_LANE
from taskapi.schedules.jobs import rescue_runs
from tests.clients.servers import raw_server, silent
from tests.e2e.installation import wait_for
from tests.people import Person
from tests.schedules.making import make, runs_of
from tests.schedules.probe import NoParams, Probe
from tests.settings import settings_changed
from tests.timed import best_of
from tests.work import queued

HANDS = 10
NAP_SECONDS, CALLS = 1.0, 40
PRIVATE = (ip_network("127.0.0.1/32"),)


@pytest.fixture
def threaded(context: Flask) -> Iterator[None]:
    """A worker with threads lives, and may call this machine."""
    register_worker("calls,calls-bulk")
    with settings_changed(context, webhook_allow_private=PRIVATE, user_runs_at_once=100):
        yield


def register_worker(queues: str) -> None:
    redis_client().sadd("rq:workers", "rq:worker:other")
    redis_client().hset("rq:worker:other", "queues", queues)
    redis_client().expire("rq:worker:other", 600)


@pytest.fixture
def probe() -> Iterator[Probe]:
    """An action named ``probe`` that may be worked on in threads."""
    probe = Probe()
    registry.register(Action("probe", "Does what a test wants", NoParams, probe.run, threaded=True))
    yield probe
    registry.unregister("probe")


@contextmanager
def slow_receiver(seconds: float, is_called: threading.Event | None = None) -> Iterator[HTTPServer]:
    """Answers each call after so long, many at a time."""

    def answer(_request: Request) -> Response:
        if is_called is not None:
            is_called.set()
        real_time.sleep(seconds)
        return Response("ok")

    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        server.expect_request("/").respond_with_handler(answer)
        yield server


def scheduled(owner: Person, action: str, **params: Any) -> dict[str, Any]:
    return make(owner, action=action, params=params, cron="0 0 1 1 *", overlap="allow", notify=[])


def request_runs(owner: Person, schedule: dict[str, Any], number: int) -> list[UUID]:
    answers = [owner.post(f"/api/schedules/{schedule['id']}/run") for _ in range(number)]
    return [UUID(answer.json["id"]) for answer in answers]


def work_off(app: Flask) -> None:
    """All that is queued, by a worker with threads."""
    # Its processes are forked: they must find no connection of ours.
    db.session.remove()
    db.engine.dispose()
    worker = TaskWorker(app, connection=redis_client(), threads=HANDS)
    worker.work(burst=True, logging_level="CRITICAL")


def lanes() -> dict[Queue, int]:
    return {queue: count for queue in RUN_QUEUES if (count := len(queued(queue)))}


def test_they_have_queues_of_their_own(owner: Person, threaded: None) -> None:
    webhook = scheduled(owner, "webhook", url="http://127.0.0.1:9/")
    reminder = scheduled(owner, "reminder", message="Tea")
    request_runs(owner, webhook, FIRST_LANE + 2)
    request_runs(owner, reminder, 1)
    assert lanes() == {Queue.CALLS: FIRST_LANE, Queue.CALLS_BULK: 2, Queue.RUNS_BULK: 1}


@pytest.mark.parametrize(
    "queues", ["", ",".join(Queue), "housekeeping,runs,mail,webhooks,runs-bulk,imports,later"]
)
def test_without_threads_they_wait_among_the_others(owner: Person, context: Flask, queues: str) -> None:
    """No worker lives, or only such without threads, this one's or an older release's."""
    if queues:
        register_worker(queues)
    with settings_changed(context, webhook_allow_private=PRIVATE):
        request_runs(owner, scheduled(owner, "webhook", url="http://127.0.0.1:9/"), FIRST_LANE + 2)
    assert lanes() == {Queue.RUNS: FIRST_LANE, Queue.RUNS_BULK: 2}


def test_what_redis_forgot_comes_back_to_them_and_what_it_has_is_left(owner: Person, threaded: None) -> None:
    request_runs(owner, scheduled(owner, "webhook", url="http://127.0.0.1:9/"), 2)
    rescue_runs()
    assert lanes() == {Queue.CALLS: 2}
    redis_client().flushdb()
    register_worker("calls,calls-bulk")
    rescue_runs()
    assert lanes() == {Queue.CALLS: 2}


@pytest.mark.usefixtures("signal_handlers", "threaded")
def test_threads_do_five_times_as_many_as_one_at_a_time(context: Flask, owner: Person) -> None:
    with slow_receiver(NAP_SECONDS) as receiver:
        schedule = scheduled(owner, "webhook", url=receiver.url_for("/"))

        def seconds() -> float:
            receiver.clear_log()
            run_ids = request_runs(owner, schedule, CALLS)
            started = real_time.monotonic()
            work_off(context)
            took = real_time.monotonic() - started
            called = Counter(request.headers["Idempotency-Key"] for request, _ in receiver.log)
            assert called == Counter(map(str, run_ids))
            return took

        fifth = CALLS * NAP_SECONDS / 5
        assert best_of(3, seconds, enough=fifth) < fifth
    runs = runs_of(owner, schedule)
    assert {(run["status"], run["attempt"]) for run in runs} == {("completed", 1)}
    assert owner.get(f"/api/schedules/{schedule['id']}").json["stats"]["completed"] == len(runs)


@pytest.mark.usefixtures("signal_handlers", "threaded")
def test_those_of_a_process_that_died_are_done_at_once_by_the_next(
    context: Flask, owner: Person, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescue, "FORGOTTEN_AFTER_SECONDS", 0.0)
    mark = tmp_path / "mark"

    def die_the_first_time(_context: RunContext) -> None:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        real_time.sleep(0.2)

    probe.behave = die_the_first_time
    schedule = scheduled(owner, "probe")
    request_runs(owner, schedule, 5)
    # Long before the leases end. What had not begun when its process died is not in Redis any more.
    for _ in range(3):
        work_off(context)
        rescue_runs()
    work_off(context)
    runs = runs_of(owner, schedule)
    assert {run["status"] for run in runs} == {"completed"}
    assert max(run["attempt"] for run in runs) == 2


@pytest.mark.usefixtures("signal_handlers", "threaded")
def test_a_call_is_cancelled_without_harm_to_its_neighbours(context: Flask, owner: Person) -> None:
    is_called, slow_is_called = threading.Event(), threading.Event()

    def say_nothing(connection: socket.socket) -> None:
        is_called.set()
        silent(connection)

    with raw_server(say_nothing) as port, slow_receiver(4.0, slow_is_called) as receiver:
        (silent_run,) = request_runs(owner, scheduled(owner, "webhook", url=f"http://127.0.0.1:{port}/"), 1)
        (slow_run,) = request_runs(owner, scheduled(owner, "webhook", url=receiver.url_for("/")), 1)

        def cancel() -> None:
            # All processes are forked by then: they would inherit the locks that a thread holds.
            assert is_called.wait(30)
            assert slow_is_called.wait(30)
            assert owner.post(f"/api/runs/{silent_run}/cancel").status_code == 200

        cancelling = threading.Thread(target=cancel)
        cancelling.start()
        # It would wait for five minutes.
        work_off(context)
        cancelling.join()
    found = {run_id: owner.get(f"/api/runs/{run_id}").json for run_id in (silent_run, slow_run)}
    assert (found[silent_run]["status"], found[silent_run]["reason"]) == ("cancelled", "manual")
    assert (found[slow_run]["status"], found[slow_run]["attempt"]) == ("completed", 1)


@pytest.mark.usefixtures("signal_handlers", "threaded")
def test_a_mail_waits_for_no_call_that_hangs(context: Flask, owner: Person, probe: Probe) -> None:
    def hang_until_the_mail_is_out(_context: RunContext) -> None:
        wait_for(lambda: redis_client().get("mailed") is not None, seconds=60, what="the mail")

    probe.behave = hang_until_the_mail_is_out
    request_runs(owner, scheduled(owner, "probe"), 2 * HANDS)
    mails = JsonQueue(Queue.MAIL, connection=redis_client())
    mails.enqueue_call("tests.background.trying.note_mailed")
    work_off(context)
    assert redis_client().get("mailed") == b"1"
