"""A stock RQ worker that imports its jobs before it forks, as RQ's documentation advises."""

import os

from redis import Redis
from rq import Queue, Worker

import benchmarks.rivals.rq_jobs  # noqa: F401 - what each fork then need not import

connection = Redis.from_url(os.environ["REDIS_URL"])
Worker([Queue("benchmark", connection=connection)], connection=connection).work(logging_level="WARNING")
