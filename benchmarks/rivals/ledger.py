"""What a job writes that keeps a history: its run's row and an event, in one transaction.

SQLAlchemy Core and psycopg 3, over a connection that each process keeps.
"""

import json
import os
from functools import cache
from uuid import uuid4

import sqlalchemy as sa

UPDATE = sa.text(
    "UPDATE runs SET status = 'completed', attempt = attempt + 1, started_at = to_timestamp(:begun),"
    " finished_at = now(), worker = :worker, result = CAST(:result AS jsonb)"
    " WHERE id = :id AND status = 'pending'"
)
INSERT = sa.text(
    "INSERT INTO events (id, type, subject_id, data, at)"
    " VALUES (:id, 'run.completed', :subject_id, CAST(:data AS jsonb), now())"
)


@cache
def engine() -> sa.Engine:
    return sa.create_engine(os.environ["RIVALS_DATABASE_URL"], pool_size=1)


def record(run_id: str, begun: float) -> None:
    """Write the outcome of a run."""
    worker = f"worker-{os.getpid()}"
    with engine().begin() as connection:
        row = {"id": run_id, "begun": begun, "worker": worker, "result": "{}"}
        connection.execute(UPDATE, row)
        data = json.dumps({"status": "completed", "worker": worker})
        connection.execute(INSERT, {"id": uuid4(), "subject_id": run_id, "data": data})
