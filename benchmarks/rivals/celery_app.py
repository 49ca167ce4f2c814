"""Jobs of Celery: Redis as broker, no results kept, the prefork pool."""

import os
import time

from celery import Celery

from benchmarks.rivals.ledger import record
from benchmarks.rivals.stamps import stamp

app = Celery("benchmark", broker=os.environ["CELERY_BROKER_URL"])
app.conf.update(
    task_ignore_result=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    timezone="UTC",
    # As its documentation advises for many short tasks; the default is 4.
    worker_prefetch_multiplier=64,
)


@app.task(name="plain")
def plain(due: float) -> None:
    stamp(due)


@app.task(name="recorded")
def recorded(run_id: str, due: float) -> None:
    begun = time.time()
    stamp(due)
    record(run_id, begun)
