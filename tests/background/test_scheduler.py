"""The scheduler process: housekeeping that heals itself, a loop that outlives failures."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from rq.job import Job
from structlog.testing import capture_logs

from taskapi.background import scheduler as scheduler_module
from taskapi.background.enqueue import WAKE_CHANNEL, WAKE_DISPATCH, WAKE_RELAY, wake_scheduler
from taskapi.background.names import RESCUE_RUNS, SWEEP_EMAILS, Queue
from taskapi.background.rq_json import JsonJob
from taskapi.background.scheduler import HousekeepingEntry, TaskScheduler
from tests.work import queued

ENTRIES = [HousekeepingEntry(RESCUE_RUNS, interval=5), HousekeepingEntry(SWEEP_EMAILS, interval=60)]
SCHEDULED = "rq:scheduler:scheduled_jobs"
LOCK = "rq:scheduler_lock"


class Work:
    """Counts what the scheduler was asked to do."""

    def __init__(self) -> None:
        self.dispatched, self.relayed, self.beats = 0, 0, 0
        self.next_due: Callable[[], float | None] = lambda: None

    def dispatch(self) -> float | None:
        self.dispatched += 1
        return self.next_due()

    def relay(self) -> None:
        self.relayed += 1

    def beat(self, _name: str) -> None:
        self.beats += 1


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def app(redis: Redis) -> Iterator[Flask]:
    """An application with nothing but Redis: the database has no part in this."""
    app = Flask("scheduler")
    app.extensions["taskapi_redis"] = redis
    redis.flushdb()
    yield app
    redis.flushdb()


def make_scheduler(
    app: Flask, redis: Redis, work: Work, entries: list[HousekeepingEntry] = ENTRIES
) -> TaskScheduler:
    scheduler = TaskScheduler(
        app, redis, dispatch=work.dispatch, relay=work.relay, beat=work.beat, entries=entries
    )
    # Signals are for real processes, not for the one that runs the tests.
    scheduler._install_signal_handlers = lambda: None  # type: ignore[method-assign]
    return scheduler


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens soon does not happen because a tick was over."""
    monkeypatch.setattr(scheduler_module, "TICK_SECONDS", 60.0)


@pytest.fixture
def running(app: Flask, redis: Redis, work: Work) -> Iterator[TaskScheduler]:
    """A scheduler that runs in a thread."""
    scheduler = make_scheduler(app, redis, work)
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    yield scheduler
    scheduler._stopping.set()
    scheduler._look_now.set()
    thread.join(timeout=20)
    assert not thread.is_alive()


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def is_listening(redis: Redis) -> bool:
    ((_, listeners),) = redis.pubsub_numsub(WAKE_CHANNEL)
    return bool(listeners)


def test_entries_are_registered_with_fixed_ids_and_json(app: Flask, redis: Redis, work: Work) -> None:
    make_scheduler(app, redis, work).register_entries()
    make_scheduler(app, redis, work).register_entries()
    assert set(redis.zrange(SCHEDULED, 0, -1)) == {b"housekeeping-rescue_runs", b"housekeeping-sweep_emails"}
    job: Job = JsonJob.fetch("housekeeping-rescue_runs", connection=redis)
    assert (job.func_name, job.origin, job.meta["interval"]) == (RESCUE_RUNS, Queue.HOUSEKEEPING, 5)


def test_a_flushed_redis_gets_its_entries_back(running: TaskScheduler, redis: Redis) -> None:
    until(lambda: redis.zcard(SCHEDULED) == 2)
    redis.flushall()
    until(lambda: redis.zcard(SCHEDULED) == 2)


def test_an_entry_that_lost_its_job_is_made_anew(running: TaskScheduler, redis: Redis) -> None:
    until(lambda: redis.zcard(SCHEDULED) == 2)
    redis.delete(JsonJob.key_for("housekeeping-sweep_emails"))
    until(lambda: bool(redis.exists(JsonJob.key_for("housekeeping-sweep_emails"))))


def test_entries_of_an_earlier_version_are_dropped_at_start(app: Flask, redis: Redis, work: Work) -> None:
    make_scheduler(
        app, redis, work, [HousekeepingEntry("taskapi.gone.forever", interval=1)]
    ).register_entries()
    make_scheduler(app, redis, work).run(burst=True)
    assert b"housekeeping-forever" not in redis.zrange(SCHEDULED, 0, -1)


def test_due_entries_are_queued_and_come_again(app: Flask, redis: Redis, work: Work) -> None:
    scheduler = make_scheduler(app, redis, work)
    scheduler.run(burst=True)
    redis.zadd(SCHEDULED, {"housekeeping-rescue_runs": 1})
    scheduler._serve_housekeeping()
    with app.app_context():
        assert "housekeeping-rescue_runs" in {job.id for job in queued(Queue.HOUSEKEEPING)}
    assert (redis.zscore(SCHEDULED, "housekeeping-rescue_runs") or 0) > time.time()


def test_a_schedulers_lock_is_removed_by_nobody_else(app: Flask, redis: Redis, work: Work) -> None:
    first, second = make_scheduler(app, redis, work), make_scheduler(app, redis, work)
    assert first.acquire_lock()
    assert not second.acquire_lock()
    redis.set(LOCK, "another, after the first took too long")
    first.remove_lock()
    assert redis.get(LOCK) == b"another, after the first took too long"


def test_the_lock_of_a_killed_scheduler_ends_soon(app: Flask, redis: Redis, work: Work) -> None:
    make_scheduler(app, redis, work).acquire_lock()
    assert 0 < redis.pttl(LOCK) <= 5000


@pytest.mark.usefixtures("unhurried")
def test_a_wake_makes_it_look_at_once(app: Flask, redis: Redis, running: TaskScheduler, work: Work) -> None:
    until(lambda: is_listening(redis) and work.dispatched > 0)
    before = work.dispatched
    with app.app_context():
        wake_scheduler(WAKE_DISPATCH)
    until(lambda: work.dispatched > before, seconds=10)


@pytest.mark.usefixtures("unhurried")
def test_new_events_are_relayed_at_once(app: Flask, redis: Redis, running: TaskScheduler, work: Work) -> None:
    until(lambda: is_listening(redis) and work.relayed > 0)
    before = work.relayed
    with app.app_context():
        wake_scheduler(WAKE_RELAY)
    until(lambda: work.relayed > before, seconds=10)


def test_it_sleeps_to_the_next_due_time(running: TaskScheduler, work: Work) -> None:
    work.next_due = lambda: 0.05
    until(lambda: work.dispatched >= 1)
    before = work.dispatched
    # By ticks alone it would take ten seconds.
    until(lambda: work.dispatched >= before + 10, seconds=6)


def test_it_looks_every_second_and_shows_that_it_lives(running: TaskScheduler, work: Work) -> None:
    until(lambda: work.dispatched >= 3 and work.beats >= 2 and work.relayed >= 2, seconds=10)


def test_the_relay_rests_longer_than_it_worked(running: TaskScheduler, work: Work) -> None:
    """Relaying must not take the time of what is due, however often it is woken."""

    def slow() -> None:
        time.sleep(0.05)
        work.relay()

    running._relay = slow
    until(lambda: work.relayed > 1)
    before, begun = work.relayed, time.monotonic()
    while time.monotonic() - begun < 2:
        running._events_waiting.set()
        time.sleep(0.005)
    # Each round takes 50 ms and then 200 of rest: 8 in this time, not 40.
    assert work.relayed - before <= 12


def test_a_failing_dispatch_and_relay_do_not_end_it(app: Flask, running: TaskScheduler, work: Work) -> None:
    def fail() -> float | None:
        raise RuntimeError("the database is restarting")

    work.next_due = fail
    running._relay = fail
    with capture_logs() as lines:
        until(lambda: work.dispatched >= 3)
        until(lambda: {"dispatch.failed", "relay.failed"} <= {line["event"] for line in lines})
    work.next_due = lambda: None
    running._relay = work.relay
    before = work.relayed
    until(lambda: work.relayed > before)


def test_it_dispatches_while_redis_is_away(app: Flask, work: Work) -> None:
    nowhere = Redis.from_url("unix:///nowhere/valkey.sock")
    scheduler = make_scheduler(app, nowhere, work)
    work.next_due = lambda: 0.01
    thread = threading.Thread(target=scheduler.run)
    with capture_logs() as lines:
        thread.start()
        until(lambda: work.dispatched >= 20)
        until(lambda: "scheduler.lost_redis" in {line["event"] for line in lines})
    scheduler._stopping.set()
    scheduler._look_now.set()
    thread.join(timeout=20)
    assert not thread.is_alive()


def test_an_entry_that_nobody_takes_is_queued_once(app: Flask, redis: Redis, work: Work) -> None:
    # Alone, as another would become due by itself where this takes longer than a second.
    scheduler = make_scheduler(app, redis, work, ENTRIES[:1])
    for _ in range(3):
        scheduler.run(burst=True)
        redis.zadd(SCHEDULED, {"housekeeping-rescue_runs": 1})
        scheduler._serve_housekeeping()
    assert redis.lrange("rq:queue:housekeeping", 0, -1) == [b"housekeeping-rescue_runs"]
    assert (redis.zscore(SCHEDULED, "housekeeping-rescue_runs") or 0) > time.time()


def test_it_never_waits_longer_than_a_tick() -> None:
    assert scheduler_module.TICK_SECONDS <= 1


def test_each_watch_looks_though_another_fails_and_redis_is_away(app: Flask, work: Work) -> None:
    looks: list[str] = []

    def blind() -> None:
        looks.append("blind")
        raise RuntimeError("it sees nothing")

    def sharp() -> None:
        looks.append("sharp")

    nowhere = Redis.from_url("unix:///nowhere/valkey.sock")
    options: Any = {"dispatch": work.dispatch, "relay": work.relay, "beat": work.beat, "entries": ENTRIES}
    scheduler = TaskScheduler(app, nowhere, watches=[blind, sharp], **options)
    scheduler._install_signal_handlers = lambda: None  # type: ignore[method-assign]
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    until(lambda: looks.count("sharp") >= 2)
    scheduler._stopping.set()
    scheduler._look_now.set()
    thread.join(timeout=20)
    assert looks[:4] == ["blind", "sharp", "blind", "sharp"]


def test_a_watch_that_has_more_to_do_goes_on_at_once_and_the_others_look_between(
    app: Flask, work: Work
) -> None:
    looks: list[str] = []

    def backlog() -> bool:
        looks.append("backlog")
        return looks.count("backlog") < 50

    def other() -> int:
        looks.append("other")
        return 1

    nowhere = Redis.from_url("unix:///nowhere/valkey.sock")
    options: Any = {"dispatch": work.dispatch, "relay": work.relay, "beat": work.beat, "entries": ENTRIES}
    scheduler = TaskScheduler(app, nowhere, watches=[backlog, other], **options)
    thread = threading.Thread(target=scheduler._watch_loop)
    thread.start()
    until(lambda: len(looks) >= 100)
    scheduler._stopping.set()
    thread.join(timeout=20)
    assert looks[:100] == ["backlog", "other"] * 50
