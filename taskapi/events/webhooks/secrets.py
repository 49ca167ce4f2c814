"""Secrets of webhooks: sealed where they are stored, shown once, two of them live while one is replaced."""

from datetime import datetime

from taskapi.core.signing import seal, unseal
from taskapi.events.webhooks.models import Webhook

PURPOSE = "webhooks.secret"


def sealed(secret: str) -> str:
    """The secret as it is stored."""
    return seal(secret, PURPOSE)


def signing_secrets(webhook: Webhook, now: datetime) -> list[str]:
    """The secrets that sign now, the current one first.

    Raises:
        SealBroken
    """
    stored = [webhook.secret]
    if webhook.previous_secret and webhook.previous_secret_until:
        stored += [webhook.previous_secret] if webhook.previous_secret_until > now else []
    return [unseal(each, PURPOSE) for each in stored]
