"""What is wrong with webhooks, in figures for those who operate the system."""

import sqlalchemy as sa

from taskapi.core.db import database_now, session
from taskapi.events.webhooks.models import Webhook, WebhookDelivery

DAY_SECONDS = 86_400.0


def count_faults() -> dict[str, int]:
    """Webhooks that the service ``disabled``, those ``retrying``, and deliveries ``failed`` within a day."""
    failed = (WebhookDelivery.status == "failed", WebhookDelivery.created_at >= database_now(-DAY_SECONDS))
    counts = {
        "disabled": sa.select(sa.func.count()).where(Webhook.disabled_reason.is_not(None)),
        "retrying": sa.select(sa.func.count()).where(Webhook.is_active, Webhook.retry_at.is_not(None)),
        "failed": sa.select(sa.func.count()).where(*failed),
    }
    columns = [count.scalar_subquery().label(name) for name, count in counts.items()]
    return dict(session().execute(sa.select(*columns)).one()._mapping)
