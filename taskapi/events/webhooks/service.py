"""Rules of webhooks: a user's subscriptions to the events that they may know of."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.clients.standard_webhooks import new_secret
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import read_database_clock, session
from taskapi.core.errors import ValidationFailed
from taskapi.core.events import record_event
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.core.standing import queue_up
from taskapi.events.webhooks import lease, queries
from taskapi.events.webhooks.errors import TooManyWebhooks, WebhookNotFound
from taskapi.events.webhooks.models import HIDDEN, Webhook, WebhookDelivery
from taskapi.events.webhooks.outcomes import name_of
from taskapi.events.webhooks.secrets import sealed

MAX_WEBHOOKS = 50
KEEP_FOR_SECONDS = 86_400.0


def list_webhooks(*, actor: Actor, page: PageRequest) -> Page[Webhook]:
    """One's webhooks, newest first."""
    return queries.page_of_webhooks(actor, page)


def get_webhook(*, actor: Actor, webhook_id: UUID) -> Webhook:
    """
    Raises:
        WebhookNotFound
    """
    webhook = queries.find_webhook(actor, webhook_id)
    if webhook is None:
        raise WebhookNotFound
    return webhook


def create_webhook(
    *,
    actor: Actor,
    url: str,
    events: list[str],
    secret: str | None = None,
    description: str = "",
    refusal: str | None = None,
) -> Webhook:
    """Subscribe to events from now on; the secret, which is made when none is given, is shown this once.

    Args:
        refusal: why the address must not be called.

    Raises:
        ValidationFailed, TooManyWebhooks
    """
    _check_target(refusal)
    # Of two at once only one finds the last place; who closes the account waits to find this one there.
    queue_up(actor.user_id)
    if queries.count_webhooks(actor.user_id) >= MAX_WEBHOOKS:
        raise TooManyWebhooks(f"One may have {MAX_WEBHOOKS} webhooks.")
    plain, now = secret or new_secret(), clock.now()
    webhook = Webhook(
        owner_id=actor.user_id,
        url=url,
        events=events,
        as_admin=actor.is_admin,
        description=description,
        secret=sealed(plain),
        created_at=now,
        updated_at=now,
    )
    session().add(webhook)
    session().flush()
    _record("webhook.created", webhook, actor, after=_state(webhook))
    webhook.shown_secret = plain
    return webhook


def update_webhook(
    *,
    actor: Actor,
    webhook_id: UUID,
    changes: dict[str, Any],
    condition: Precondition,
    refusal: str | None = None,
) -> Webhook:
    """Change the given fields; what they are already is no change.

    Switched on again it forgets what failed, and goes on with what had waited when it was switched
    off; of what happened in between it is not told.

    Raises:
        WebhookNotFound, PreconditionFailed, ValidationFailed, MissingScope
    """
    webhook = lock_webhook(actor=actor, webhook_id=webhook_id, condition=condition)
    _check_target(refusal)
    secret = changes.pop("secret", HIDDEN)
    if secret != HIDDEN:
        changes["secret"] = sealed(secret)
    new = {name: value for name, value in changes.items() if getattr(webhook, name) != value}
    if not new:
        return webhook
    before = _state(webhook)
    for name, value in new.items():
        setattr(webhook, name, value)
    if new.get("is_active"):
        _forget_failures(webhook)
    _changed(webhook)
    _record("webhook.updated", webhook, actor, before=before, after=_state(webhook))
    return webhook


def rotate_secret(
    *,
    actor: Actor,
    webhook_id: UUID,
    condition: Precondition = ANY_VERSION,
    secret: str | None = None,
    keep_for: float = KEEP_FOR_SECONDS,
) -> Webhook:
    """Sign with another secret, and for ``keep_for`` seconds with the present one too.

    Raises:
        WebhookNotFound, PreconditionFailed, MissingScope
    """
    webhook = lock_webhook(actor=actor, webhook_id=webhook_id, condition=condition)
    plain = secret or new_secret()
    webhook.previous_secret = webhook.secret if keep_for else None
    until = read_database_clock() + timedelta(seconds=keep_for)
    webhook.previous_secret_until = until if keep_for else None
    webhook.secret = sealed(plain)
    _changed(webhook)
    _record("webhook.secret_rotated", webhook, actor)
    webhook.shown_secret = plain
    return webhook


def delete_webhook(*, actor: Actor, webhook_id: UUID, condition: Precondition) -> None:
    """Delete a webhook with its log; what waits is not sent any more.

    Raises:
        WebhookNotFound, PreconditionFailed
    """
    webhook = _lock(actor, webhook_id, condition)
    _record("webhook.deleted", webhook, actor, before=_state(webhook))
    session().execute(sa.delete(Webhook).where(Webhook.id == webhook.id))


def lock_webhook(*, actor: Actor, webhook_id: UUID, condition: Precondition = ANY_VERSION) -> Webhook:
    """One's webhook, against other changes and its sender, for who may see what it is told.

    Raises:
        WebhookNotFound, PreconditionFailed, MissingScope
    """
    webhook = _lock(actor, webhook_id, condition)
    actor.check_reach(as_admin=webhook.as_admin)
    return webhook


def _lock(actor: Actor, webhook_id: UUID, condition: Precondition) -> Webhook:
    webhook = queries.find_webhook(actor, webhook_id, lock=True)
    if webhook is None:
        raise WebhookNotFound
    condition.check(webhook.version)
    return webhook


def _check_target(refusal: str | None) -> None:
    if refusal is not None:
        raise ValidationFailed({"url": [refusal]})


def _forget_failures(webhook: Webhook) -> None:
    webhook.disabled_reason = webhook.disabled_at = None
    webhook.refusals = 0
    waiting = sa.update(WebhookDelivery).where(
        WebhookDelivery.webhook_id == webhook.id, queries.IS_WAITING, WebhookDelivery.tries > 0
    )
    anew = waiting.values(tries=0, first_tried_at=None)
    session().execute(anew.execution_options(synchronize_session=False))


def _changed(webhook: Webhook) -> None:
    """A change may be what mends it: what waits is tried at once."""
    webhook.retry_at = None
    webhook.updated_at = clock.now()
    webhook.version += 1
    session().flush()
    lease.send_later({webhook.id: webhook.attempt})


def _state(webhook: Webhook) -> dict[str, Any]:
    """What the log of events tells of it: nothing that lets anybody in."""
    return {"name": name_of(webhook), "events": webhook.events, "is_active": webhook.is_active}


def _record(
    event: str,
    webhook: Webhook,
    actor: Actor,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    subject = ("webhook", webhook.id)
    record_event(event, subject=subject, actor=actor, owner_id=webhook.owner_id, before=before, after=after)
