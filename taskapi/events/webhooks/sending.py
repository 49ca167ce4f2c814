"""Sends what waits for a webhook, in order, a slice at a time; no transaction is open meanwhile.

What came of a call is written down together with the look for the next one. Who is killed between
a call and that has it made again by another, under the same id.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from taskapi.clients import http
from taskapi.clients.http import Answer, CallFailed
from taskapi.clients.standard_webhooks import signature_headers
from taskapi.core import clock
from taskapi.core.db import on_commit, session, transaction
from taskapi.core.repeating import repeatable
from taskapi.core.runtime import runtime_settings
from taskapi.core.signing import SealBroken
from taskapi.core.standing import actors_of
from taskapi.events.webhooks import lease, outcomes, queries, secrets
from taskapi.events.webhooks.lease import Claim, LeaseLost
from taskapi.events.webhooks.meters import DELIVERIES
from taskapi.events.webhooks.models import CONTENT_TYPE, Webhook, WebhookDelivery

log = structlog.get_logger(__name__)


CALL_SECONDS = 10.0
# Then other webhooks come first, whose deliveries are in the same queue.
SLICE_SECONDS, AT_ONCE = 5.0, 200
# An owner who is inactive gets nothing; whether they are back is asked so often.
INACTIVE_PAUSE_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A delivery to be made: the body's bytes, and all secrets that sign it."""

    delivery_id: UUID
    message_id: UUID
    url: str
    body: bytes
    signing_secrets: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A call that was made: what was sent, and the answer or why there is none."""

    item: Item
    at: datetime
    headers: dict[str, str]
    result: Answer | CallFailed
    duration_ms: int


def work_on(*, webhook_id: UUID) -> None:
    """Send a slice of what waits for a webhook, unless another worker does; the rest is queued again."""
    senders = lease.senders_at_once()
    with transaction():
        claim = lease.take(webhook_id, senders=senders)
        is_owned = claim is not None and claim.owner_id in actors_of({claim.owner_id})
    if claim is None:
        log.debug("webhook.not_due", webhook_id=str(webhook_id))
        return
    try:
        if is_owned:
            _send_some(claim)
        with transaction():
            lease.give_back(claim, pause=None if is_owned else INACTIVE_PAUSE_SECONDS)
    except LeaseLost:
        log.warning("webhook.taken_over", webhook_id=str(webhook_id), attempt=claim.attempt)
        return
    # What came meanwhile found it taken, or no sender free, and its job had nothing to do.
    lease.sweep()


def _send_some(claim: Claim) -> None:
    stop_at = time.monotonic() + SLICE_SECONDS
    sent = None
    for _ in range(AT_ONCE):
        item = _go_on(claim, sent)
        if item is None:
            return
        sent = _send(item)
        if time.monotonic() >= stop_at:
            break
    _go_on(claim, sent)


@repeatable
def _go_on(claim: Claim, sent: Sent | None) -> Item | None:
    """Write down what came of the last call, and find the next one to make, if there is one now."""
    with transaction():
        webhook, now = lease.renew(claim)
        # Mostly the one that was sent, and the next.
        waiting = queries.oldest_waiting(webhook.id, limit=2)
        if sent is not None:
            _settle(webhook, sent, waiting, now)
        return _next(webhook, waiting, now)


def _settle(webhook: Webhook, sent: Sent, waiting: Sequence[WebhookDelivery], now: datetime) -> None:
    delivery_id = sent.item.delivery_id
    found = next((each for each in waiting if each.id == delivery_id), None)
    delivery = found or queries.find_delivery(webhook.id, delivery_id)
    # It may have been forgotten meanwhile.
    if delivery is None or delivery.status != "pending":
        return
    outcomes.note(delivery, sent, now)
    outcomes.decide(webhook, delivery, sent.result, now)
    session().flush()
    on_commit(DELIVERIES.add, "postponed" if delivery.status == "pending" else delivery.status)


def _next(webhook: Webhook, waiting: Sequence[WebhookDelivery], now: datetime) -> Item | None:
    if not webhook.is_active or (webhook.retry_at and webhook.retry_at > now):
        return None
    delivery = next((each for each in waiting if each.status == "pending"), None)
    if delivery is None:
        return None
    try:
        signing_secrets = secrets.signing_secrets(webhook, now)
    except SealBroken:
        outcomes.disable(webhook, "secret_unreadable")
        return None
    return Item(
        delivery_id=delivery.id,
        message_id=delivery.message_id,
        url=webhook.url,
        body=delivery.body.encode(),
        signing_secrets=signing_secrets,
    )


def _send(item: Item) -> Sent:
    at, started = clock.now(), time.monotonic()
    headers = {
        "Content-Type": CONTENT_TYPE,
        **signature_headers(item.signing_secrets, str(item.message_id), item.body),
    }
    call = http.Call(method="POST", url=item.url, headers=headers, body=item.body)
    result: Answer | CallFailed
    try:
        result = http.send(call, allowed=runtime_settings().webhook_allow_private, timeout=CALL_SECONDS)
    except CallFailed as error:
        result = error
    duration_ms = round((time.monotonic() - started) * 1000)
    return Sent(item=item, at=at, headers=headers, result=result, duration_ms=duration_ms)
