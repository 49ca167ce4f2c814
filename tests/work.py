"""Doing in a test what the scheduler and worker processes do."""

import importlib
from collections.abc import Callable

from flask import Flask
from redis import Redis
from rq.job import Job

from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.background.rq_json import JsonJob, JsonQueue
from taskapi.events.service import relay_events
from taskapi.ops.scheduling import WATCHES
from taskapi.schedules.engine.dispatch import dispatch_due


def queued(queue: Queue) -> list[JsonJob]:
    """The jobs waiting in a queue."""
    return JsonQueue(queue, connection=redis_client()).jobs  # type: ignore[return-value]


def run_jobs(app: Flask) -> int:
    """Do everything that is queued, in this process, until nothing is left; how many jobs."""
    done = 0
    with app.app_context():
        connection = redis_client()
    while (job := _pop(connection)) is not None:
        with app.app_context():
            _function(str(job.func_name))(*job.args)
        done += 1
    return done


def _pop(connection: Redis) -> Job | None:
    for queue in Queue:
        job_id = connection.lpop(JsonQueue(queue, connection=connection).key)
        if isinstance(job_id, bytes):
            return JsonJob.fetch(job_id.decode(), connection=connection)
    return None


def _function(name: str) -> Callable[..., object]:
    module, _, attribute = name.rpartition(".")
    function: Callable[..., object] = getattr(importlib.import_module(module), attribute)
    return function


def dispatch_all() -> float | None:
    """Dispatch, as the scheduler's loop does, until nothing more is due now; seconds until the next."""
    while (seconds := dispatch_due()) == 0.0:
        pass
    return seconds


def watch(app: Flask, *, without: Callable[[], object] | None = None) -> None:
    """Look once for what must not go unnoticed, as the scheduler does each second, and tell of it."""
    for look in WATCHES:
        if look is not without:
            with app.app_context():
                look()
    with app.app_context():
        relay_events()


def tick(app: Flask) -> None:
    """One round of everything: dispatch what is due, do the jobs, relay the events, do their jobs."""
    with app.app_context():
        dispatch_all()
    run_jobs(app)
    with app.app_context():
        relay_events()
    run_jobs(app)
