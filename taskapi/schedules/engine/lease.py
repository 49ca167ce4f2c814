"""While an action runs: its lease is renewed, and what it tells is written, by a thread beside it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from taskapi.core.db import database_now, db
from taskapi.schedules.actions.base import RunContext
from taskapi.schedules.engine import claims
from taskapi.schedules.engine.cancelling import CancelWatch
from taskapi.schedules.engine.journal import Journal

log = structlog.get_logger(__name__)

LEASE_SECONDS = 20.0
HEARTBEAT_SECONDS = 5.0
LOOK_SECONDS = 1.0


@contextmanager
def keep_lease(context: RunContext, journal: Journal) -> Iterator[CancelWatch]:
    """Hold the run of ``context`` while the action runs in this thread; gives who may tell it to stop."""
    done, watch = threading.Event(), CancelWatch(context, journal)
    engine = db.engine.execution_options(taskapi_writes=True)
    beating = threading.Thread(
        target=_beat, args=(engine, context, journal, watch, done), name="lease", daemon=True
    )
    beating.start()
    try:
        yield watch
    finally:
        done.set()
        beating.join()


def _beat(
    engine: sa.Engine, context: RunContext, journal: Journal, watch: CancelWatch, done: threading.Event
) -> None:
    renewed_at = time.monotonic()
    while not done.wait(min(LOOK_SECONDS, HEARTBEAT_SECONDS)):
        try:
            watch.look()
            if time.monotonic() - renewed_at >= HEARTBEAT_SECONDS:
                if not _renew(engine, context):
                    log.warning("lease.lost")
                    return
                renewed_at = time.monotonic()
            journal.write(engine)
        except SQLAlchemyError as error:
            # The lease outlives a few missed beats, and with them a restart of the database.
            log.warning("lease.beat_failed", error=type(error).__name__)


def _renew(engine: sa.Engine, context: RunContext) -> bool:
    extension = claims.change_of_attempt(
        context.run_id, context.attempt, lease_until=database_now(LEASE_SECONDS)
    )
    with engine.begin() as connection:
        return connection.execute(extension).rowcount > 0
