"""The scheduler process: rq-scheduler for housekeeping, our own loop for everything that is due.

``rq_scheduler`` serves the periodic housekeeping entries. Users' due times are not entrusted
to it: the loop asks the database for them, outside of rq-scheduler's lock, and goes on while
Redis is away.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import FrameType

import structlog
from flask import Flask
from redis import Redis
from redis.exceptions import RedisError
from rq.job import Job
from rq_scheduler import Scheduler

from taskapi.background.enqueue import WAKE_CHANNEL, WAKE_RELAY
from taskapi.background.names import Queue
from taskapi.background.process import process_name
from taskapi.background.rq_json import JsonJob, JsonQueue

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
# rq-scheduler would hold its lock for interval + 10 s after a kill -9.
LOCK_MILLISECONDS = 5_000
SHORTEST_SLEEP_SECONDS = 0.001
# What is due waits no longer for the interpreter than this, however busy the other loops are:
# dispatch asks for it again after each of its statements.
SWITCH_SECONDS = 0.0005
LISTEN_SECONDS = 0.5
# What comes close together is relayed together: one by one it would take the time of what is due.
RELAY_PAUSE_SECONDS, LONGEST_RELAY_PAUSE_SECONDS = 0.02, 0.25
# Between these bounds the relay rests so many times as long as it took.
RELAY_REST = 4
STOP_SECONDS = 2.0
RELEASE_OWN_LOCK = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0
"""


@dataclass(frozen=True, slots=True)
class HousekeepingEntry:
    """A job that is enqueued every ``interval`` seconds; its name is its fixed id."""

    job_name: str
    interval: int

    @property
    def id(self) -> str:
        return f"housekeeping-{self.job_name.rpartition('.')[2]}"


class TaskScheduler(Scheduler):
    """Dispatches due work by ``dispatch`` and relays events by ``relay`` until told to stop.

    Args:
        dispatch: makes due what is due and returns seconds until the next due time, or None
            when there is none.
        relay: places new events; runs in a thread of its own, at least once a second.
        beat: records that this process is alive.
        watches: look for what must not go unnoticed, each once a second in a thread of their own,
            also while Redis is away or no worker lives. One that answers True has more to do: all
            look again at once.
    """

    def __init__(
        self,
        app: Flask,
        connection: Redis,
        *,
        dispatch: Callable[[], float | None],
        relay: Callable[[], object],
        beat: Callable[[str], object],
        entries: list[HousekeepingEntry],
        watches: Sequence[Callable[[], object]] = (),
    ) -> None:
        super().__init__(
            queue_name=Queue.HOUSEKEEPING,
            connection=connection,
            interval=int(TICK_SECONDS),
            job_class=JsonJob,
            queue_class=JsonQueue,
            name=process_name("scheduler"),
        )
        self._app = app
        self._dispatch, self._relay, self._beat = dispatch, relay, beat
        self._entries, self._watches = entries, watches
        self._entries_are_current = False
        self._stopping = threading.Event()
        self._look_now = threading.Event()
        self._events_waiting = threading.Event()
        self._redis_lost = False

    def run(self, burst: bool = False) -> None:
        """Loop until SIGINT or SIGTERM; with ``burst`` once.

        Redis may hang, so it is asked by threads of its own: nothing that is due waits for it.
        """
        self._install_signal_handlers()
        loops = (self._relay_loop, self._listen_loop, self._chores_loop, self._watch_loop)
        threads = [threading.Thread(target=loop, name=loop.__name__, daemon=True) for loop in loops]
        if burst:
            self._dispatch_safely()
            self._watch()
            self._do_chores()
            return
        sys.setswitchinterval(SWITCH_SECONDS)
        for thread in threads:
            thread.start()
        log.info("scheduler.started", name=self.name)
        while not self._stopping.is_set():
            self._look_now.clear()
            self._sleep(self._dispatch_safely())
        self._events_waiting.set()
        for thread in threads:
            thread.join(timeout=STOP_SECONDS)
        self._try_redis(self.register_death)
        log.info("scheduler.stopped", name=self.name)

    def _install_signal_handlers(self) -> None:
        def stop(_signal: int, _frame: FrameType | None) -> None:
            self._stopping.set()
            self._look_now.set()

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)

    def _dispatch_safely(self) -> float | None:
        try:
            with self._app.app_context():
                return self._dispatch()
        except Exception:
            # The loop must outlive any failure: the database may be restarting.
            log.exception("dispatch.failed")
            self._stopping.wait(TICK_SECONDS / 2)
            return None

    def _sleep(self, next_due: float | None) -> None:
        seconds = min(next_due if next_due is not None else TICK_SECONDS, TICK_SECONDS)
        if seconds > 0:
            self._look_now.wait(max(seconds, SHORTEST_SLEEP_SECONDS))

    def _relay_loop(self) -> None:
        while not self._stopping.is_set():
            self._events_waiting.clear()
            begun = time.monotonic()
            try:
                with self._app.app_context():
                    self._relay()
            except Exception:
                log.exception("relay.failed")
            rest = max(RELAY_REST * (time.monotonic() - begun), RELAY_PAUSE_SECONDS)
            self._stopping.wait(min(rest, LONGEST_RELAY_PAUSE_SECONDS))
            # A publish that was lost is made up for by looking once a second.
            self._events_waiting.wait(TICK_SECONDS)

    def _listen_loop(self) -> None:
        while not self._stopping.is_set():
            if not self._try_redis(self._listen):
                self._stopping.wait(TICK_SECONDS)

    def _listen(self) -> None:
        with self.connection.pubsub(ignore_subscribe_messages=True) as subscription:
            subscription.subscribe(WAKE_CHANNEL)
            while not self._stopping.is_set():
                message = subscription.get_message(timeout=LISTEN_SECONDS)
                if message is None:
                    continue
                woken = self._events_waiting if message["data"] == WAKE_RELAY.encode() else self._look_now
                woken.set()

    def _chores_loop(self) -> None:
        while not self._stopping.is_set():
            self._do_chores()
            self._stopping.wait(TICK_SECONDS)

    def _watch_loop(self) -> None:
        while not self._stopping.is_set():
            if not self._watch():
                self._stopping.wait(TICK_SECONDS)

    def _watch(self) -> bool:
        """Have each look once; whether one has more to do."""
        more = False
        for watch in self._watches:
            try:
                with self._app.app_context():
                    more |= watch() is True
            except Exception:
                # One that fails must not blind the others.
                log.exception("watch.failed", watch=watch.__name__)
        return more

    def _do_chores(self) -> None:
        try:
            with self._app.app_context():
                self._beat(self.name)
        except Exception:
            log.exception("heartbeat.failed")
        self._try_redis(self._serve_housekeeping)

    def _serve_housekeeping(self) -> None:
        if not self.connection.exists(self.key):
            self.register_birth()
        self.heartbeat()
        if not self.acquire_lock():
            return
        try:
            if not self._entries_are_current:
                self._drop_entries()
                self._entries_are_current = True
            self.register_entries()
            for _job in self.enqueue_jobs() or ():
                pass
        finally:
            self.remove_lock()

    def register_entries(self) -> None:
        """Make sure that every housekeeping entry is there: a flushed Redis has lost them."""
        known = dict(self.connection.zrange(self.scheduled_jobs_key, 0, -1, withscores=True))
        for entry in self._entries:
            job_exists = self.connection.exists(JsonJob.key_for(entry.id))
            if entry.id.encode() in known and job_exists:
                continue
            self.schedule(
                datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=1),
                entry.job_name,
                interval=entry.interval,
                id=entry.id,
                timeout=300,
            )

    def _drop_entries(self) -> None:
        # At each start, so that an entry of an earlier version or interval does not live on.
        for job_id in self.connection.zrange(self.scheduled_jobs_key, 0, -1):
            if job_id.startswith(b"housekeeping-"):
                self.connection.zrem(self.scheduled_jobs_key, job_id)

    def acquire_lock(self) -> bool:
        self._lock_acquired = bool(
            self.connection.set(self.scheduler_lock_key, self.name, px=LOCK_MILLISECONDS, nx=True)
        )
        return self._lock_acquired

    def remove_lock(self) -> None:
        # Only one's own: a slow pass may have outlived its lock, which is another's by now.
        if self._lock_acquired:
            self.connection.eval(RELEASE_OWN_LOCK, 1, self.scheduler_lock_key, self.name)
            self._lock_acquired = False

    def enqueue_job(self, job: Job) -> None:
        """As in rq-scheduler, but an entry that no worker has taken yet is not queued once more."""
        queue = self.get_queue_for_job(job)
        if self.connection.lpos(queue.key, job.id) is None:
            super().enqueue_job(job)
            return
        again = time.time() + job.meta["interval"]
        self.connection.zadd(self.scheduled_jobs_key, {job.id: again})

    def _try_redis(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except (RedisError, OSError, ValueError) as error:
            if not self._redis_lost:
                log.warning("scheduler.lost_redis", error=str(error))
            self._redis_lost = True
            return False
        if self._redis_lost:
            log.info("scheduler.found_redis")
            self._redis_lost = False
        return True
