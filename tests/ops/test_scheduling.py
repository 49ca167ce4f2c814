"""The scheduler as it is put together: it notices by itself, in real time."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from taskapi.background.scheduler import TaskScheduler
from taskapi.events.service import relay_events
from taskapi.ops import scheduling
from taskapi.schedules.engine.dispatch import dispatch_due
from tests.people import Person
from tests.schedules.making import make


@pytest.fixture
def scheduler(app: Flask, redis_away: None) -> Iterator[None]:
    """Runs in a thread, with nobody else: no worker, no Redis."""
    nowhere = Redis.from_url("unix:///nowhere/valkey.sock")
    entries: dict[str, Any] = {"beat": scheduling._beat, "entries": scheduling.HOUSEKEEPING}
    running = TaskScheduler(
        app, nowhere, dispatch=dispatch_due, relay=relay_events, watches=scheduling.WATCHES, **entries
    )
    # Signals are for real processes, not for the one that runs the tests.
    running._install_signal_handlers = lambda: None  # type: ignore[method-assign]
    thread = threading.Thread(target=running.run)
    thread.start()
    yield
    running._stopping.set()
    running._look_now.set()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_missed_deadlines_are_told_within_five_seconds_without_redis_and_workers(
    app: Flask, owner: Person, scheduler: None
) -> None:
    soon: dict[str, Any] = {"every": 1, "max_runs": 1}
    make(owner, **soon, start_deadline=1)
    make(owner, **soon, finish_deadline=1)
    make(owner, **soon, action="expect_ping", params={"grace": 1})
    # Due after a second, and late after another.
    due = time.monotonic() + 2
    told: set[str] = set()
    while not told >= {"run_missed", "run_overdue", "run_failed"}:
        assert time.monotonic() < due + 5, told
        time.sleep(0.1)
        told = {item["type"] for item in owner.get("/api/notifications").json["items"]}
