"""Writes down what came of a call to a webhook, and what follows from it."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from taskapi.clients.http import Answer, CallFailed
from taskapi.core import clock
from taskapi.core.events import record_event
from taskapi.core.json import format_time, storable_text
from taskapi.events.webhooks.models import TEST_TYPE, Webhook, WebhookDelivery
from taskapi.events.webhooks.verdicts import judge

if TYPE_CHECKING:
    from taskapi.events.webhooks.sending import Sent

log = structlog.get_logger(__name__)

KEPT_BYTES = 4_096
# More than a round of three days has.
KEPT_ATTEMPTS = 100
KEPT_HEADERS = ("Content-Type", "Date", "Location", "Retry-After", "Server")
KEPT_CHARACTERS = 200
# What is told to the owner, by the word for why the service switched the webhook off.
REASONS = {
    "gone": "The receiver answered 410 Gone, which asks for no more calls.",
    "failing": "Nothing could be delivered for three days.",
    "refusing": "The receiver refused twenty deliveries in a row.",
    "secret_unreadable": "Its secret cannot be read any more: rotate it. Was SECRET_KEY changed?",
}


def note(delivery: WebhookDelivery, sent: "Sent", now: datetime) -> None:
    """Keep what was sent and what came back."""
    error = _error(sent.result)
    answer = sent.result if isinstance(sent.result, Answer) else None
    attempt = {
        "at": format_time(sent.at),
        "url": storable_text(sent.item.url),
        "headers": sent.headers,
        "response": _shown(answer) if answer else None,
        "duration_ms": sent.duration_ms,
        "error": error,
    }
    delivery.attempts = [*delivery.attempts, attempt][-KEPT_ATTEMPTS:]
    delivery.attempt_count += 1
    delivery.tries += 1
    delivery.first_tried_at = delivery.first_tried_at or now
    delivery.last_attempt_at = now
    delivery.response_status = answer.status if answer else None
    delivery.duration_ms = sent.duration_ms
    delivery.error = error["code"] if error else None


def decide(webhook: Webhook, delivery: WebhookDelivery, result: Answer | CallFailed, now: datetime) -> None:
    """Let the delivery be done, wait, or fail, and the webhook with it go on, wait, or be switched off."""
    if delivery.type == TEST_TYPE:
        # It is asked for to see what happens: once, and without consequences.
        delivery.status = "failed" if delivery.error else "succeeded"
        return
    elapsed = (now - (delivery.first_tried_at or now)).total_seconds()
    verdict = judge(result, tries=delivery.tries, elapsed=elapsed, refusals=webhook.refusals)
    webhook.retry_at = None
    if verdict.outcome == "again":
        webhook.retry_at = now + timedelta(seconds=verdict.pause)
        return
    delivery.status = verdict.outcome
    webhook.refusals = webhook.refusals + 1 if verdict.refused else 0
    if verdict.disable:
        disable(webhook, verdict.disable)


def disable(webhook: Webhook, reason: str) -> None:
    """Switch the webhook off and have its owner told; what waits is kept."""
    webhook.is_active = False
    webhook.disabled_reason, webhook.disabled_at = reason, clock.now()
    webhook.updated_at = clock.now()
    webhook.version += 1
    state = {"name": name_of(webhook), "reason": reason, "facts": REASONS[reason]}
    record_event("webhook.disabled", subject=("webhook", webhook.id), owner_id=webhook.owner_id, after=state)
    log.warning("webhook.disabled", webhook_id=str(webhook.id), reason=reason)


def name_of(webhook: Webhook) -> str:
    """What its owner calls it, or whom it calls, without path and query, in which people put keys."""
    return webhook.description or urlsplit(webhook.url).netloc


def _error(result: Answer | CallFailed) -> dict[str, str] | None:
    if isinstance(result, CallFailed):
        return {"code": result.code, "message": storable_text(str(result))}
    if 200 <= result.status < 300:
        return None
    return {"code": f"http_{result.status}", "message": f"The receiver answered {result.words}."}


def _shown(answer: Answer) -> dict[str, Any]:
    """What is kept of an answer: enough to understand it, and no more than the receiver may fill."""
    headers = {
        name: storable_text(answer.headers[name])[:KEPT_CHARACTERS]
        for name in KEPT_HEADERS
        if name in answer.headers
    }
    body = storable_text(answer.body[:KEPT_BYTES].decode("utf-8", "replace"))
    return {"status": answer.status, "headers": headers, "body": body}
