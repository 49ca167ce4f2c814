"""What becomes of webhooks when their owner's account is closed."""

from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.closing import all_deleted
from taskapi.core.db import session
from taskapi.events.webhooks.models import Webhook

foresee_webhooks_of = all_deleted("webhooks", Webhook.owner_id)


def forget_webhooks_of(user_id: UUID, _actor: Actor | None) -> None:
    """Remove the webhooks of a user, and their logs; what waits is not sent any more."""
    theirs = sa.delete(Webhook).where(Webhook.owner_id == user_id)
    session().execute(theirs.execution_options(synchronize_session=False))
