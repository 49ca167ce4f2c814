"""A hand: what is one worker to RQ, and does one job after the other inside a work-horse.

Jobs that ask for no more than to be done are taken and finished by the books, one round trip for each;
what else RQ offers (callbacks, retries, repeats, webhooks, dependents) is left to RQ's own code.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any
from uuid import uuid4

import structlog
from flask import Flask
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Worker
from rq import worker_registration as registration
from rq.job import Retry
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty, JobTimeoutException
from rq.utils import now

from taskapi.background.board import Board
from taskapi.background.bookkeeping import Books, Done, Nothing, Taken
from taskapi.background.enqueue import JobCall, enqueue
from taskapi.background.horse import WorkHorse, is_used_up
from taskapi.background.idling import run_idle_steps
from taskapi.background.names import EXECUTE_RUN, TAKE_BACK_RUNS, Queue
from taskapi.background.process import process_name, process_of
from taskapi.background.rq_json import JsonJob, JsonQueue
from taskapi.background.watching import QueueWatch
from taskapi.core.logging import redact

log = structlog.get_logger(__name__)

# A dead worker drops out of the count within this time and 60 s.
WORKER_TTL_SECONDS = 60
# Every so often one that waits looks for itself, should nobody have told.
LOOK_SECONDS = 5.0
PAUSE_SECONDS = 0.5


class NoAlarm(BaseDeathPenalty):
    """For a hand in a thread, which no signal reaches: its worker ends the process some time later."""

    def setup_death_penalty(self) -> None:
        """Do nothing."""

    def cancel_death_penalty(self) -> None:
        """Do nothing."""


class Hand(Worker):
    """An RQ worker with JSON payloads whose jobs find the application and its logging ready."""

    job_class = JsonJob
    queue_class: Any = JsonQueue

    def __init__(self, app: Flask, queues: tuple[Queue, ...], connection: Redis, **options: Any) -> None:
        self._app = app
        super().__init__(
            [JsonQueue(queue, connection=connection) for queue in queues],
            name=process_name("worker"),
            worker_ttl=WORKER_TTL_SECONDS,
            serializer=JSONSerializer,
            connection=connection,
            **options,
        )
        self.log_result_lifespan = False
        self.books = self._open_books()
        # Where its notes are on the board.
        self.place = 0
        # Hands of one process wait for work one at a time: a job wakes one of them.
        self.turn = threading.Lock()
        self.horse: WorkHorse | None = None

    def _set_connection(self, connection: Redis) -> Redis:
        # RQ would have each answer take a minute, as it pops with a time limit: nothing here blocks in Redis.
        return connection

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        super().heartbeat(timeout, pipeline)
        # A flushed Redis has forgotten who works for it.
        registration.register(self, pipeline)

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """End the process of this hand, for the sake of the job that is to be stopped if there is one."""
        self._kill_for(self._stopped_job_id)

    def kill_for_its_job(self) -> None:
        """End the process as this hand's job does not end."""
        job_id = None
        with suppress(RedisError):
            job_id = self.get_current_job_id()
        self._kill_for(job_id)

    def _kill_for(self, job_id: str | None) -> None:
        if self.horse is None:
            return
        if job_id is not None:
            self.horse.victims.add(job_id)
        self.horse.kill()

    def is_stopping(self, job_id: str) -> bool:
        """Whether somebody wants this job to be stopped."""
        return self._stopped_job_id == job_id

    def have_runs_taken_back(self, pid: int) -> None:
        """Have others look at once for what a dead process of this worker was doing: its leases go on."""
        call = JobCall(name=TAKE_BACK_RUNS, args=[process_of(self.name, pid)], job_id=f"dead-{uuid4()}")
        with self._app.app_context():
            enqueue(Queue.HOUSEKEEPING, [call])

    def tell_alive(self) -> None:
        """Tell Redis that this worker lives, and the job in its hand."""
        self.connection.hset(self.key, mapping=self.serialize())
        self.heartbeat()
        self.books.beat()

    def labour(self, board: Board, *, burst: bool) -> bool:
        """Take and do jobs until told to leave, with ``burst`` until there are none.

        Returns:
            Whether it left only because the process should be a new one.
        """
        # Books of its own: the number of the next execution is not that of a process before.
        self.books = self._open_books()
        watch = QueueWatch(self.connection, self.queue_keys())
        parent = os.getppid()
        jobs, done, is_spent = 0, None, False
        while True:
            taken = self._next(done, watch, lambda: board.is_leaving or os.getppid() != parent, burst)
            if taken is None:
                return is_spent
            jobs += 1
            board.begin(self.place, taken.job.timeout or JsonQueue.DEFAULT_TIMEOUT)
            # A time limit strikes anywhere: what it leaves set is not the next job's.
            done, is_well = copy_context().run(self._do, taken)
            board.end(self.place)
            # Nobody knows what it left behind in the process.
            is_harmed = not is_well and self.death_penalty_class is not NoAlarm
            if is_harmed or self._should_leave(board, jobs):
                is_spent = True
                board.ask_to_leave()

    def _should_leave(self, board: Board, jobs: int) -> bool:
        """Whether to make room for another process: all hands leave then, those that are done at once.

        Until half as much again as it may do, for which it waits for a moment in which no other is busy.
        """
        return is_used_up(jobs) and (not board.is_busy_beside(self.place) or is_used_up(jobs * 2 // 3))

    def _next(
        self, done: Done | None, watch: QueueWatch, is_over: Callable[[], bool], burst: bool
    ) -> Taken | None:
        """Tell how the last job ended and wait for the next; None if it is time to leave."""
        if not self.turn.acquire(blocking=False):
            # Another hand waits for work, which may take long.
            with suppress(RedisError):
                self._step(done, wanted=False)
                done = None
            self.turn.acquire()
        try:
            while not isinstance(found := self._look(done, wanted=not is_over()), Taken):
                done = done if found is None else None
                self._take_idle_steps()
                if is_over() or (burst and found is not None):
                    return None
                if found is Nothing.IDLE:
                    self._wait(watch, is_over)
                else:
                    time.sleep(PAUSE_SECONDS)
            return found
        finally:
            self.turn.release()

    def _look(self, done: Done | None, *, wanted: bool) -> Taken | Nothing | None:
        """One step in the books; None while Redis is away."""
        try:
            return self._step(done, wanted=wanted)
        except RedisError as error:
            log.warning("worker.lost_redis", error=str(error))
            return None

    def _step(self, done: Done | None, *, wanted: bool) -> Taken | Nothing:
        found = self.books.step(done, wanted=wanted)
        if found is Nothing.DEPENDENTS and done is not None:
            job, self.execution = done.taken.job, done.taken.execution
            job._result, job.ended_at = done.value, done.ended_at
            queue = self._queue(done.taken)
            self.handle_job_success(job, queue, queue.started_job_registry)
            found = self.books.step(None, wanted=wanted)
        if self.books.is_forgotten:
            # Should Redis be gone again: the job that was taken is to be done, or nobody would know of it.
            with suppress(RedisError):
                self.tell_alive()
        return found

    def _wait(self, watch: QueueWatch, is_over: Callable[[], bool]) -> None:
        try:
            watch.wait(LOOK_SECONDS, is_over)
        except RedisError:
            # Looking tells whether it is away.
            time.sleep(PAUSE_SECONDS)

    def _take_idle_steps(self) -> None:
        with self._app.app_context():
            self._run_idle_steps()

    def _run_idle_steps(self, *, another_job: bool = False) -> None:
        if threading.current_thread() is threading.main_thread():
            run_idle_steps(another_job=another_job)

    def _do(self, taken: Taken) -> tuple[Done | None, bool]:
        """Do a job: how it ended, unless that was told already, and whether it ended well."""
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(job_id=taken.job.id)
        with self._app.app_context():
            if taken.job.func_name != EXECUTE_RUN:
                # What waits for the next run would wait for this job.
                self._run_idle_steps(another_job=True)
            if taken.wants_more:
                self.execution = taken.execution
                return None, self.perform_job(taken.job, self._queue(taken))
            return self._do_simply(taken)

    def _do_simply(self, taken: Taken) -> tuple[Done | None, bool]:
        job = taken.job
        timeout = job.timeout or JsonQueue.DEFAULT_TIMEOUT
        try:
            with self.death_penalty_class(timeout, JobTimeoutException, job_id=job.id):
                value = job.perform()
        except BaseException:  # noqa: BLE001 - whatever a job raises is how it ended
            self.execution, job.ended_at = taken.execution, now()
            kind, error, trace = sys.exc_info()
            self.handle_exception(job, kind, error, trace)
            told = redact("".join(traceback.format_exception(kind, error, trace)))
            self.handle_job_failure(job, self._queue(taken), exc_string=told)
            return None, False
        if isinstance(value, Retry):
            self.execution, job.ended_at = taken.execution, now()
            queue = self._queue(taken)
            self.handle_job_retry(job, queue, value, queue.started_job_registry, taken.execution)
            return None, True
        return Done(taken, value, now()), True

    def _open_books(self) -> Books:
        return Books(self.connection, worker_key=self.key, name=self.name, queue_keys=self.queue_keys())

    def _queue(self, taken: Taken) -> JsonQueue:
        return JsonQueue(taken.queue, connection=self.connection)


class WaitingHand(Hand):
    """A hand in a thread, for jobs that mostly wait; what they wait for has time limits of its own."""

    death_penalty_class = NoAlarm
