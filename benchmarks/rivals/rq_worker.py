"""A stock RQ worker that imports all that its jobs need before it forks, as RQ's documentation advises."""

import os

from redis import Redis
from rq import Queue, Worker

import benchmarks.rivals.rq_jobs  # noqa: F401 - what each fork then need not import
from benchmarks.rivals.ledger import engine

# SQLAlchemy imports its driver with the first engine, which connects to nothing yet.
engine()
connection = Redis.from_url(os.environ["REDIS_URL"])
Worker([Queue("benchmark", connection=connection)], connection=connection).work(logging_level="WARNING")
