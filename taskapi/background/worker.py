"""The worker process: an RQ worker whose work-horse takes and runs the jobs inside the application.

The application is imported once, before the fork, so a new work-horse starts in milliseconds. This
process does no job: it keeps the horses alive and tells Redis so, ends jobs that do not end, and tells
what became of the jobs of a horse that died.
"""

import gc
import os
import random
import select
import signal
import threading
import time
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import sqlalchemy.orm
import structlog
from flask import Flask
from redis import Redis
from redis.client import PubSub
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as AnswerTimedOut
from rq import get_current_job
from rq.utils import import_attribute, now
from sqlalchemy.exc import SQLAlchemyError

from taskapi.background.connection import open_redis
from taskapi.background.crew import Crew
from taskapi.background.hand import Hand, WaitingHand
from taskapi.background.horse import WorkHorse
from taskapi.background.names import TAKE_AN_ID, WAITING_QUEUES, Queue
from taskapi.background.postponed import queue_postponed
from taskapi.background.process import become_work_horse, die_with_parent, process_of
from taskapi.config import Settings
from taskapi.core.db import db, dispose_engines
from taskapi.core.errors import OutcomeUnknown
from taskapi.core.meters import tallies_of

log = structlog.get_logger(__name__)

LONGEST_PAUSE_SECONDS = 10.0
NOBODY = UUID(int=0)
TICK_SECONDS = 1.0
BEAT_SECONDS = 20.0
LISTEN_SECONDS = 1.0
# How much longer than its time limit a job may take that does not hear of it, before its process is killed.
GRACE_SECONDS = 10.0


class TaskWorker(Hand):
    """The worker: a hand itself, and the keeper of the processes in which all hands work.

    Args:
        threads: how many jobs that only wait for others are done at a time, mails and webhooks in one
            process and runs in another; with 1 they are done among the others.
    """

    def __init__(self, app: Flask, *, connection: Redis, threads: int = 1) -> None:
        groups = WAITING_QUEUES if threads > 1 else ()
        apart = {queue for group in groups for queue in group}
        super().__init__(app, tuple(queue for queue in Queue if queue not in apart), connection)
        self.stop_requested = False
        self._beat_at = time.monotonic()
        self._crews = [Crew([self], partial(self._become_horse, os.getpid()))]
        for group in groups:
            hands = [WaitingHand(app, group, connection) for _ in range(threads)]
            self._crews.append(Crew(hands, partial(self._become_process, os.getpid())))
        self._hands = [hand for crew in self._crews for hand in crew.hands]

    def work(  # type: ignore[override]
        self, burst: bool = False, logging_level: str | None = None
    ) -> bool:
        """Work until told to stop, with ``burst`` until nothing is left to do.

        Raises:
            RedisError: Redis is away at the beginning; later it is waited for.
        """
        self.bootstrap(logging_level)
        self._install_signal_handlers()  # type: ignore[no-untyped-call]
        try:
            while not self._see_to_all(burst):
                self._do_chores()
                select.select(
                    [horse for horse in self._horses() if horse.status is None], [], [], TICK_SECONDS
                )
        finally:
            self.teardown()
        return True

    def register_birth(self) -> None:
        """Tell Redis of every hand."""
        super().register_birth()  # type: ignore[no-untyped-call]
        for hand in self._hands[1:]:
            hand.hostname, hand.pid, hand.ip_address = self.hostname, self.pid, self.ip_address
            hand.register_birth()  # type: ignore[no-untyped-call]

    def subscribe(self) -> None:
        """Listen to commands for any hand."""
        self.pubsub: Any = self.connection.pubsub()  # type: ignore[no-untyped-call]
        self.pubsub.subscribe(**{hand.pubsub_channel_name: hand.handle_payload for hand in self._hands})
        self.pubsub_thread: Any = self.pubsub.run_in_thread(
            sleep_time=LISTEN_SECONDS, daemon=True, exception_handler=self._pubsub_exception_handler
        )

    def unsubscribe(self) -> None:
        """Listen no more; the thread that listens closes its connection, which RQ would do beside it."""
        self.pubsub.unsubscribe()
        self.pubsub_thread.stop()
        self.pubsub_thread.join(timeout=2 * LISTEN_SECONDS)

    def _pubsub_exception_handler(self, exc: Exception, pubsub: PubSub, pubsub_thread: object) -> None:
        # RQ's own ends the thread when an answer takes too long: no command would be heard any more.
        if not isinstance(exc, (Disconnected, AnswerTimedOut)):
            raise exc
        log.warning("worker.not_told_of_commands", error=str(exc))
        time.sleep(LISTEN_SECONDS)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop when the jobs in progress are done; a second signal ends them too."""
        self.stop_requested = True
        self._shutdown_requested_date = now()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.request_force_stop)
        for horse in self._horses():
            horse.board.ask_to_leave()

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop at once, unless this is the first signal in a second copy, as process managers send it."""
        assert self._shutdown_requested_date is not None
        if (now() - self._shutdown_requested_date).total_seconds() > 1:
            raise SystemExit

    def teardown(self) -> None:
        """Leave; what is still in progress ends now."""
        for horse in self._horses():
            horse.end()
        with suppress(RedisError):
            for crew in self._crews:
                crew.settle()
            for hand in self._hands:
                hand.register_death()  # type: ignore[no-untyped-call]
            self.unsubscribe()

    def _horses(self) -> list[WorkHorse]:
        return [crew.horse for crew in self._crews if crew.horse is not None]

    def _see_to_all(self, burst: bool) -> bool:
        """Put a process in the place of each that is gone; whether all are gone for good."""
        are_gone = [self._see_to(crew, burst) for crew in self._crews]
        return all(are_gone)

    def _see_to(self, crew: Crew, burst: bool) -> bool:
        horse = crew.horse
        if horse is not None and not horse.has_ended:
            for place in horse.board.overdue(GRACE_SECONDS):
                crew.hands[place].kill_for_its_job()
            return False
        try:
            had_jobs = crew.settle()
        except RedisError as error:
            self._miss_redis(error)
            # Its job is still named where the next process would name its own.
            return self.stop_requested
        if self.stop_requested or (burst and horse is not None and horse.is_done and not had_jobs):
            return True
        if horse is not None and not (horse.is_done or horse.is_spent or had_jobs):
            # What cannot even begin would keep the machine busy with beginning.
            time.sleep(TICK_SECONDS)
        crew.begin(burst)
        return False

    def _do_chores(self) -> None:
        """Queue what was put off; tell Redis now and then that the worker lives, and tidy up there."""
        is_quiet = time.monotonic() < self._beat_at and not self.should_run_maintenance_tasks
        try:
            queue_postponed(self.connection)
            if is_quiet:
                return
            self._beat_at = time.monotonic() + BEAT_SECONDS
            for hand in self._hands:
                hand.tell_alive()
            if self.should_run_maintenance_tasks:
                self.run_maintenance_tasks()  # type: ignore[no-untyped-call]
        except RedisError as error:
            self._miss_redis(error)

    def _miss_redis(self, error: RedisError) -> None:
        log.warning("worker.waiting_for_redis", error=str(error))
        self._beat_at = time.monotonic() + TICK_SECONDS

    def _become_horse(self, worker_pid: int) -> None:
        become_work_horse()
        self._become_process(worker_pid)
        self._is_horse = True

    def _become_process(self, worker_pid: int) -> None:
        os.setpgrp()
        die_with_parent(worker_pid)
        tallies_of(self._app).kind = "horse"
        random.seed()
        # The worker decides when its horse goes; a service manager that signals all processes of
        # the service does not end the job. A handler, as ignoring would be passed on to programs.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _signal, _frame: None)
        # The horse must not share the parent's database connections.
        with self._app.app_context():
            dispose_engines()


def warm_up(app: Flask) -> None:
    """Prepare in the parent what each work-horse would otherwise do again: imports, mappers, SQL."""
    sa.orm.configure_mappers()
    with app.app_context():
        try:
            for name in TAKE_AN_ID:
                import_attribute(name)(str(NOBODY))
        except (SQLAlchemyError, OutcomeUnknown) as error:
            # The first jobs take a little longer; a database that is just restarting is no reason to end.
            log.warning("worker.not_warm", error=str(error))
        db.session.remove()
        # The horses must find no connection of their parent's.
        db.engine.dispose()
    # What is there now is never garbage: not looking at it keeps its memory shared.
    gc.collect()
    gc.freeze()


def run_worker(app: Flask, settings: Settings, *, burst: bool = False, threads: int = 1) -> None:
    """Work until told to stop; when Redis goes away, wait for it and go on."""
    warm_up(app)
    stopping = threading.Event()
    pause = 0.5
    while not stopping.is_set():
        worker = _work(app, settings, burst=burst, threads=threads)
        if burst or (worker is not None and worker.stop_requested):
            return
        pause = 0.5 if worker is not None else min(pause * 2, LONGEST_PAUSE_SECONDS)
        _stop_on_signal(stopping)
        log.warning("worker.waiting_for_redis", pause=pause)
        stopping.wait(pause)


def _work(app: Flask, settings: Settings, *, burst: bool, threads: int) -> TaskWorker | None:
    """One life of an RQ worker; None if it could not even begin or end in order."""
    try:
        worker = TaskWorker(app, connection=open_redis(settings), threads=threads)
        log.info("worker.started", name=worker.name)
        worker.work(burst=burst, logging_level="WARNING")
    except RedisError as error:
        log.warning("worker.lost_redis", error=str(error))
        return None
    return worker


def _stop_on_signal(stopping: threading.Event) -> None:
    # RQ handles signals only while it works; between two lives they must stop the wait.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _signal, _frame: stopping.set())


def current_worker_name() -> str:
    """The worker that runs the current job and the process that it does so in, for the record."""
    job = get_current_job()
    return process_of(job.worker_name, os.getpid()) if job and job.worker_name else f"direct-{os.getpid()}"
