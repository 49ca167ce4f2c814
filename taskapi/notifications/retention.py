"""Forgetting notifications and e-mails, after ``NOTIFICATION_RETENTION_DAYS``."""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
import structlog

from taskapi.core.db import read_database_clock, session, transaction
from taskapi.core.runtime import runtime_settings
from taskapi.notifications.models import Email, Notification

log = structlog.get_logger(__name__)

# Small, as SQLite's only writer is held for as long as a batch takes.
BATCH = 1_000
# Bounds one call, which occupies a worker: the rest comes with the next.
MAX_BATCHES = 200
ENDED = ("sent", "failed")


def forget_old_messages() -> int:
    """Forget what was told so long ago, read or not; an e-mail that waits stays. How many."""
    days = runtime_settings().notification_retention_days
    if not days:
        return 0
    gone = _forget(Notification, days) + _forget(Email, days)
    if gone:
        log.info("messages.forgotten", count=gone)
    return gone


def _forget(model: type[Notification | Email], days: int) -> int:
    gone, after = 0, UUID(int=0)
    for _ in range(MAX_BATCHES):
        with transaction():
            before = read_database_clock() - timedelta(days=days)
            # Ids rise with the time: the oldest are the first of them, and no other index is needed.
            status = Email.status if model is Email else sa.literal("sent")
            kept = sa.select(model.id, model.created_at, status.label("status")).where(model.id > after)
            oldest = session().execute(kept.order_by(model.id).limit(BATCH)).all()
            old = [row for row in oldest if row.created_at < before]
            gone += _delete(model, [row.id for row in old if row.status in ENDED])
        if not old:
            break
        after = oldest[-1].id
    return gone


def _delete(model: type[Notification | Email], ids: list[UUID]) -> int:
    statement = sa.delete(model).where(model.id.in_(ids))
    session().execute(statement.execution_options(synchronize_session=False))
    return len(ids)
