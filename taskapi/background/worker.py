"""The worker process: an RQ worker whose work-horse runs the jobs inside the application.

The application is imported once, before the fork, so a new work-horse starts in milliseconds.
"""

import gc
import os
import random
import signal
import threading
from contextvars import copy_context
from functools import partial
from types import FrameType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import sqlalchemy.orm
import structlog
from flask import Flask
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Worker, get_current_job
from rq import worker_registration as registration
from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue as RqQueue
from rq.serializers import JSONSerializer
from rq.utils import import_attribute

from taskapi.background.connection import open_redis
from taskapi.background.horse import Order, WorkHorse
from taskapi.background.names import TAKE_AN_ID, Queue
from taskapi.background.process import become_work_horse, die_with_parent, process_name
from taskapi.background.rq_json import JsonJob, JsonQueue
from taskapi.config import Settings
from taskapi.core.db import db, dispose_engines
from taskapi.core.meters import tallies_of

log = structlog.get_logger(__name__)

# A dead worker drops out of the count within this time and 60 s.
WORKER_TTL_SECONDS = 60
LONGEST_PAUSE_SECONDS = 10.0
NOBODY = UUID(int=0)


class TaskWorker(Worker):
    """An RQ worker with JSON payloads whose jobs find the application and its logging ready."""

    job_class = JsonJob
    queue_class: Any = JsonQueue

    def __init__(self, app: Flask, **options: Any) -> None:
        self._app = app
        self._horse: WorkHorse | None = None
        self.stop_requested = False
        super().__init__(
            [JsonQueue(queue, connection=options["connection"]) for queue in Queue],
            name=process_name("worker"),
            worker_ttl=WORKER_TTL_SECONDS,
            serializer=JSONSerializer,
            **options,
        )
        self.log_result_lifespan = False

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        # RQ asks Redis for its own state next, and forgets the request when that fails.
        self.stop_requested = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        super().heartbeat(timeout, pipeline)
        # A flushed Redis has forgotten who works for it.
        registration.register(self, pipeline)

    def fork_work_horse(self, job: Job, queue: RqQueue) -> None:
        """Give the job to the work-horse, to a new one if there is none."""
        if self._horse is None or self._horse.has_left:
            self._horse = WorkHorse(self._do, partial(self._become_horse, os.getpid()))
        self._horse_pid = self._horse.pid
        assert self.execution is not None
        self._horse.hand_over(Order(job.id, self.execution.id, queue.name))

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        """Wait until the job is done or the horse dead: its pid and status, 0 when all is well."""
        if self._horse is None:
            return None, None, None
        return self._horse.pid, self._horse.wait() or os.EX_OK, None

    def teardown(self) -> None:
        """Leave: the horse first, as it works for this worker."""
        if self._horse is not None:
            self._horse.dismiss()
        super().teardown()  # type: ignore[no-untyped-call]

    def _become_horse(self, worker_pid: int) -> None:
        os.setpgrp()
        die_with_parent(worker_pid)
        become_work_horse()
        tallies_of(self._app).kind = "horse"
        random.seed()
        self._is_horse = True
        # The worker decides when its horse goes; a service manager that signals all processes of
        # the service does not end the job. A handler, as ignoring would be passed on to programs.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _signal, _frame: None)
        # The horse must not share the parent's database connections.
        with self._app.app_context():
            dispose_engines()

    def _do(self, order: Order) -> bool:
        """In the horse: do one job; False when it failed, for then nobody knows what it left behind."""
        queue = JsonQueue(order.queue, connection=self.connection)
        try:
            job = JsonJob.fetch(order.job_id, connection=self.connection, serializer=self.serializer)
        except NoSuchJobError:
            # A flushed Redis has forgotten it; what it was for is in the database.
            return True
        job.redis_server_version = self.redis_server_version
        self.execution = Execution(order.execution_id, job.id, self.connection, self.name)
        # A time limit strikes anywhere: what it leaves set, as an open transaction, is not the next job's.
        return copy_context().run(self.perform_job, job, queue)

    def perform_job(self, job: Job, queue: RqQueue) -> bool:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(job_id=job.id)
        with self._app.app_context():
            return super().perform_job(job, queue)


def warm_up(app: Flask) -> None:
    """Prepare in the parent what each work-horse would otherwise do again: imports, mappers, SQL."""
    sa.orm.configure_mappers()
    with app.app_context():
        for name in TAKE_AN_ID:
            import_attribute(name)(str(NOBODY))
        db.session.remove()
        # The horses must find no connection of their parent's.
        db.engine.dispose()
    # What is there now is never garbage: not looking at it keeps its memory shared.
    gc.collect()
    gc.freeze()


def run_worker(app: Flask, settings: Settings, *, burst: bool = False) -> None:
    """Work until told to stop; when Redis goes away, wait for it and go on."""
    warm_up(app)
    stopping = threading.Event()
    pause = 0.5
    while not stopping.is_set():
        worker = _work(app, settings, burst=burst)
        if burst or (worker is not None and worker.stop_requested):
            return
        pause = 0.5 if worker is not None else min(pause * 2, LONGEST_PAUSE_SECONDS)
        _stop_on_signal(stopping)
        log.warning("worker.waiting_for_redis", pause=pause)
        stopping.wait(pause)


def _work(app: Flask, settings: Settings, *, burst: bool) -> TaskWorker | None:
    """One life of an RQ worker; None if it could not even begin or end in order."""
    try:
        worker = TaskWorker(app, connection=open_redis(settings))
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
    """The worker that runs the current job, for the record."""
    job = get_current_job()
    return (job.worker_name if job else None) or f"direct-{os.getpid()}"
