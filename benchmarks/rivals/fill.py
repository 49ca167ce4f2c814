"""Fills a queue: ``python -m benchmarks.rivals.fill celery|rq|rq-scheduler`` with a plan on standard input.

The plan is JSON: ``{"jobs": [[run_id or null, due]], "at_due": whether each is to start when it is due}``.
"""

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

Jobs = list[tuple[str | None, float]]


def fill_celery(jobs: Jobs, at_due: bool) -> None:
    from benchmarks.rivals.celery_app import app, plain, recorded

    with app.connection_for_write() as connection:
        producer = app.amqp.Producer(connection)
        for run_id, due in jobs:
            task, arguments = (plain, (due,)) if run_id is None else (recorded, (run_id, due))
            options = {"eta": datetime.fromtimestamp(due, UTC)} if at_due else {}
            task.apply_async(arguments, producer=producer, **options)


def fill_rq(jobs: Jobs, at_due: bool) -> None:
    from redis import Redis
    from rq import Queue

    from benchmarks.rivals import rq_jobs

    assert not at_due, "that is rq-scheduler's part"
    queue = Queue("benchmark", connection=Redis.from_url(os.environ["REDIS_URL"]))
    for start in range(0, len(jobs), 500):
        calls = [_call(rq_jobs, *job) for job in jobs[start : start + 500]]
        queue.enqueue_many([Queue.prepare_data(function, args) for function, args in calls])


def fill_rq_scheduler(jobs: Jobs, at_due: bool) -> None:
    from redis import Redis
    from rq_scheduler import Scheduler

    from benchmarks.rivals import rq_jobs

    assert at_due, "that is rq's part"
    scheduler = Scheduler(queue_name="benchmark", connection=Redis.from_url(os.environ["REDIS_URL"]))
    for run_id, due in jobs:
        function, arguments = _call(rq_jobs, run_id, due)
        # It wants UTC without a zone.
        scheduler.enqueue_at(datetime.fromtimestamp(due, UTC).replace(tzinfo=None), function, *arguments)


def _call(module: Any, run_id: str | None, due: float) -> tuple[Any, tuple[Any, ...]]:
    return (module.plain, (due,)) if run_id is None else (module.recorded, (run_id, due))


FILLERS = {"celery": fill_celery, "rq": fill_rq, "rq-scheduler": fill_rq_scheduler}

if __name__ == "__main__":
    plan = json.load(sys.stdin)
    FILLERS[sys.argv[1]](plan["jobs"], plan["at_due"])
