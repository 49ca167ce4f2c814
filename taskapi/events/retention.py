"""Forgetting whom old events were for, after ``EVENT_RETENTION_DAYS``: nobody can follow them any more.

The events themselves stay: they are the history of the things. What is forgotten is always a prefix of
the log, and where it ends is written down in the same transaction, so that a reader who was away for
longer is told so.
"""

from datetime import datetime, timedelta
from itertools import takewhile
from uuid import UUID

import sqlalchemy as sa
import structlog

from taskapi.core.access import Actor
from taskapi.core.db import read_database_clock, session, transaction
from taskapi.core.events import Event
from taskapi.core.runtime import runtime_settings
from taskapi.core.upserts import insert_into
from taskapi.events.cursors import forgotten_until
from taskapi.events.models import EventReader, ForgottenEvents

log = structlog.get_logger(__name__)

# Small, as SQLite's only writer is held for as long as a batch takes.
BATCH = 1_000
# Bounds one call, which occupies a worker: the rest comes with the next.
MAX_BATCHES = 1_000


def forget_old_readers() -> int:
    """Forget whom events were for that are older than the setting says; how many rows."""
    days, gone = runtime_settings().event_retention_days, 0
    for _ in range(MAX_BATCHES if days else 0):
        with transaction():
            last = _last_old(read_database_clock() - timedelta(days=days))
            gone += _forget_until(last) if last else 0
        if last is None:
            break
    if gone:
        log.info("event_readers.forgotten", count=gone)
    return gone


def forget_reader(user_id: UUID, _actor: Actor | None) -> None:
    """Whose account is closed is told nothing more."""
    theirs = sa.delete(EventReader).where(EventReader.reader_id == user_id)
    session().execute(theirs.execution_options(synchronize_session=False))


def _last_old(before: datetime) -> int | None:
    """Where the old ones end among the first that are kept: at the first that is not old."""
    kept = sa.select(EventReader.position, Event.created_at).join(
        Event, Event.position == EventReader.position
    )
    # From where the last ones went: PostgreSQL would walk over all that is gone, until it is vacuumed.
    kept = kept.where(EventReader.position > forgotten_until())
    first = session().execute(kept.order_by(EventReader.position).limit(BATCH)).all()
    old = [row.position for row in takewhile(lambda row: row.created_at < before, first)]
    return old[-1] if old else None


def _forget_until(position: int) -> int:
    old = sa.delete(EventReader).where(EventReader.position <= position)
    result = session().execute(old.execution_options(synchronize_session=False))
    mark = insert_into(ForgottenEvents).values(id=1, position=position)
    # It only rises, also when two do this at once.
    raised = mark.on_conflict_do_update(
        index_elements=[ForgottenEvents.id],
        set_={"position": position},
        where=ForgottenEvents.position < position,
    )
    session().execute(raised)
    return int(result.rowcount)  # type: ignore[attr-defined]
