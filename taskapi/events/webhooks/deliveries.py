"""The log of a webhook: looking into it, testing, and sending once more."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.events import record_event
from taskapi.core.ids import new_id
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.events.webhooks import lease, outbox, queries
from taskapi.events.webhooks.errors import DeliveryNotFound, WebhookInactive
from taskapi.events.webhooks.models import TEST_POSITION, TEST_TYPE, Webhook, WebhookDelivery
from taskapi.events.webhooks.queries import DeliveryFilters
from taskapi.events.webhooks.service import get_webhook, lock_webhook

# A delivery as if it were new; what came of it before stays written down.
ANEW = {"status": "pending", "tries": 0, "first_tried_at": None}
REDELIVERY = "webhook.redelivery_requested"


def list_deliveries(
    *, actor: Actor, webhook_id: UUID, page: PageRequest, filters: DeliveryFilters
) -> Page[WebhookDelivery]:
    """What a webhook was and is to be told, newest first.

    Raises:
        WebhookNotFound, MissingScope
    """
    webhook = _get_for_reading(actor, webhook_id)
    return queries.page_of_deliveries(webhook.id, page, filters)


def get_delivery(*, actor: Actor, webhook_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """
    Raises:
        WebhookNotFound, DeliveryNotFound, MissingScope
    """
    webhook = _get_for_reading(actor, webhook_id)
    delivery = queries.find_delivery(webhook.id, delivery_id)
    if delivery is None:
        raise DeliveryNotFound
    return delivery


def send_test(*, actor: Actor, webhook_id: UUID) -> WebhookDelivery:
    """Send a message that tells of nothing, before all that waits, which is tried again after it.

    Raises:
        WebhookNotFound, WebhookInactive, MissingScope
    """
    webhook = _lock_active(actor, webhook_id)
    message_id = new_id()
    about = {"webhook_id": str(webhook.id), "events": webhook.events}
    delivery = WebhookDelivery(
        webhook_id=webhook.id,
        message_id=message_id,
        position=TEST_POSITION,
        type=TEST_TYPE,
        body=outbox.body(message_id, TEST_TYPE, clock.now(), about),
    )
    session().add(delivery)
    _send_now(webhook)
    _record("webhook.tested", webhook, actor, message_id=str(message_id))
    return delivery


def redeliver(
    *, actor: Actor, webhook_id: UUID, delivery_id: UUID, condition: Precondition = ANY_VERSION
) -> WebhookDelivery:
    """Send a message once more, or now if it waits; the receiver knows it by its id.

    Raises:
        WebhookNotFound, WebhookInactive, DeliveryNotFound, PreconditionFailed, MissingScope
    """
    webhook = _lock_active(actor, webhook_id)
    delivery = queries.find_delivery(webhook.id, delivery_id)
    if delivery is None:
        raise DeliveryNotFound
    condition.check_tag(delivery.state_tag)
    for name, value in ANEW.items():
        setattr(delivery, name, value)
    _send_now(webhook)
    _record(REDELIVERY, webhook, actor, message_id=str(delivery.message_id))
    return delivery


def redeliver_range(
    *, actor: Actor, webhook_id: UUID, from_at: datetime, to_at: datetime, status: str | None = None
) -> dict[str, int]:
    """Send once more what was to be sent in a time, in the order of the events; how many messages.

    Args:
        to_at: the end, which is not part of it.
        status: only what ended so.

    Raises:
        WebhookNotFound, WebhookInactive, MissingScope
    """
    webhook = _lock_active(actor, webhook_id)
    filters = DeliveryFilters(
        status=[status] if status else ["succeeded", "failed"], created_after=from_at, created_before=to_at
    )
    those = sa.update(WebhookDelivery).where(*queries.these_deliveries(webhook.id, filters))
    anew = those.where(WebhookDelivery.type != TEST_TYPE).values(**ANEW)
    result: Any = session().execute(anew.execution_options(synchronize_session=False))
    _send_now(webhook)
    _record(REDELIVERY, webhook, actor, count=result.rowcount)
    return {"count": result.rowcount}


def _get_for_reading(actor: Actor, webhook_id: UUID) -> Webhook:
    webhook = get_webhook(actor=actor, webhook_id=webhook_id)
    actor.check_reach(as_admin=webhook.as_admin)
    return webhook


def _lock_active(actor: Actor, webhook_id: UUID) -> Webhook:
    webhook = lock_webhook(actor=actor, webhook_id=webhook_id)
    if not webhook.is_active:
        raise WebhookInactive("The webhook is switched off: send is_active true first.")
    return webhook


def _send_now(webhook: Webhook) -> None:
    webhook.retry_at = None
    session().flush()
    lease.send_later({webhook.id: webhook.attempt})


def _record(event: str, webhook: Webhook, actor: Actor, **after: Any) -> None:
    record_event(event, subject=("webhook", webhook.id), actor=actor, owner_id=webhook.owner_id, after=after)
