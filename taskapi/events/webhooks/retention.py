"""Forgetting old deliveries: the log of a webhook reaches back 30 days."""

import sqlalchemy as sa
import structlog

from taskapi.core.db import database_now, session, transaction
from taskapi.events.webhooks.models import WebhookDelivery

log = structlog.get_logger(__name__)

KEPT_SECONDS = 30 * 86_400.0
BATCH = 1_000
# Bounds one call, which occupies a worker: the rest comes with the next.
MAX_BATCHES = 200


def forget_old_deliveries() -> int:
    """Delete deliveries that are too old, also what waits for a webhook that was switched off; how many."""
    gone = 0
    for _ in range(MAX_BATCHES):
        with transaction():
            old = sa.select(WebhookDelivery.id).where(
                WebhookDelivery.created_at < database_now(-KEPT_SECONDS)
            )
            ids = session().scalars(old.order_by(WebhookDelivery.created_at).limit(BATCH)).all()
            forgotten = sa.delete(WebhookDelivery).where(WebhookDelivery.id.in_(ids))
            session().execute(forgotten.execution_options(synchronize_session=False))
        gone += len(ids)
        if len(ids) < BATCH:
            break
    if gone:
        log.info("webhooks.deliveries_forgotten", count=gone)
    return gone
