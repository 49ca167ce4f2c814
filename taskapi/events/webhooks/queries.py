"""Reads of webhooks and of their deliveries."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased, undefer_group

from taskapi.core.access import Actor
from taskapi.core.db import database_now, session
from taskapi.core.paging import Page, PageRequest, fetch_page
from taskapi.events.webhooks.models import Webhook, WebhookDelivery

WEBHOOK_SORTS = {"created_at": Webhook.created_at}
DELIVERY_SORTS = {"created_at": WebhookDelivery.created_at}
# Workers do not wait for the slow receivers of one person all at once.
SENDERS_OF_AN_OWNER = 2
# Literally as the index says it, or it could not serve.
IS_WAITING = sa.text("webhook_deliveries.status = 'pending'")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilters:
    """Which deliveries of a webhook are meant; empty ones mean all."""

    status: Sequence[str] = ()
    type: Sequence[str] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None


def find_webhook(actor: Actor, webhook_id: UUID, *, lock: bool = False) -> Webhook | None:
    """One's webhook; administrators do not see others', whose addresses hold keys."""
    mine = sa.select(Webhook).where(Webhook.id == webhook_id, Webhook.owner_id == actor.user_id)
    if lock:
        # Not against the relay, which writes deliveries that refer to it.
        mine = mine.with_for_update(key_share=True).execution_options(populate_existing=True)
    return session().scalar(mine)


def count_webhooks(owner_id: UUID) -> int:
    mine = sa.select(sa.func.count()).select_from(Webhook).where(Webhook.owner_id == owner_id)
    return session().scalar(mine) or 0


def page_of_webhooks(actor: Actor, page: PageRequest) -> Page[Webhook]:
    statement = sa.select(Webhook).where(Webhook.owner_id == actor.user_id)
    return fetch_page(
        session(), statement, request_=page, sorts=WEBHOOK_SORTS, default_sort="-created_at", key=Webhook.id
    )


def active_webhooks(owners: Collection[UUID] | None) -> Sequence[sa.Row[UUID, UUID, list[str], int, bool]]:
    """Id, owner, patterns, attempt and reach of the webhooks that are switched on.

    Args:
        owners: whose; None means everybody's.
    """
    statement = sa.select(
        Webhook.id, Webhook.owner_id, Webhook.events, Webhook.attempt, Webhook.as_admin
    ).where(Webhook.is_active)
    if owners is not None:
        statement = statement.where(Webhook.owner_id.in_(owners))
    return session().execute(statement.order_by(Webhook.id)).all()


def is_due() -> tuple[sa.ColumnElement[bool], ...]:
    """Webhooks that somebody should send for, and nobody does; their owners keep no more workers busy."""
    other = aliased(Webhook)
    theirs = sa.select(sa.func.count()).where(
        other.owner_id == Webhook.owner_id, other.lease_until > database_now()
    )
    is_their_turn = theirs.correlate(Webhook).scalar_subquery() < SENDERS_OF_AN_OWNER
    waits = sa.exists().where(WebhookDelivery.webhook_id == Webhook.id, IS_WAITING)
    may_be_tried = sa.or_(Webhook.retry_at.is_(None), Webhook.retry_at <= database_now())
    return (
        sa.and_(Webhook.is_active),
        Webhook.lease_until <= database_now(),
        may_be_tried,
        waits,
        is_their_turn,
    )


def is_sender_free(senders: int) -> sa.ColumnElement[bool]:
    """Whether fewer webhooks are being sent than may be at once."""
    taken = sa.select(sa.func.count()).select_from(other := aliased(Webhook))
    return taken.where(other.lease_until > database_now()).scalar_subquery() < senders


def oldest_waiting(webhook_id: UUID, *, limit: int) -> Sequence[WebhookDelivery]:
    """What is to be sent next, and after that."""
    waiting = sa.select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id, IS_WAITING)
    first = waiting.order_by(WebhookDelivery.position, WebhookDelivery.id).limit(limit)
    return session().scalars(_whole(first)).all()


def find_delivery(webhook_id: UUID, delivery_id: UUID) -> WebhookDelivery | None:
    """A delivery with its body and all its attempts."""
    found = sa.select(WebhookDelivery).where(
        WebhookDelivery.id == delivery_id, WebhookDelivery.webhook_id == webhook_id
    )
    return session().scalar(_whole(found))


def page_of_deliveries(
    webhook_id: UUID, page: PageRequest, filters: DeliveryFilters
) -> Page[WebhookDelivery]:
    statement = sa.select(WebhookDelivery).where(*these_deliveries(webhook_id, filters))
    key = WebhookDelivery.id
    return fetch_page(
        session(), statement, request_=page, sorts=DELIVERY_SORTS, default_sort="-created_at", key=key
    )


def these_deliveries(webhook_id: UUID, filters: DeliveryFilters) -> list[sa.ColumnElement[bool]]:
    """The condition for deliveries of a webhook that fit; the end of the time is not part of it."""
    conditions: list[sa.ColumnElement[bool]] = [WebhookDelivery.webhook_id == webhook_id]
    if filters.status:
        conditions.append(WebhookDelivery.status.in_(filters.status))
    if filters.type:
        conditions.append(WebhookDelivery.type.in_(filters.type))
    if filters.created_after is not None:
        conditions.append(WebhookDelivery.created_at >= filters.created_after)
    if filters.created_before is not None:
        conditions.append(WebhookDelivery.created_at < filters.created_before)
    return conditions


def _whole(statement: sa.Select[WebhookDelivery]) -> sa.Select[WebhookDelivery]:
    return statement.options(undefer_group("whole")).execution_options(populate_existing=True)
