"""Webhooks: subscriptions, and the outbox of what is to be sent to each, which is its log afterwards."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from taskapi.core import clock
from taskapi.core.columns import HasId, Json, UtcDateTime, partial_index
from taskapi.core.db import Base
from taskapi.core.digests import digest

STATUSES = ("pending", "succeeded", "failed")
# Its deliveries are no events: they have no place in the log, and go first.
TEST_TYPE = "webhook.test"
TEST_POSITION = 0
CONTENT_TYPE = "application/json"
HIDDEN = "***"
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Webhook(HasId, Base):
    """Where somebody wants to be told of events, and how far the telling is.

    Attributes:
        events: patterns such as ``task.*``.
        as_admin: whoever made it might see what administrators see; it does while its owner is one.
        secret, previous_secret: sealed; the previous one signs too until ``previous_secret_until``.
        disabled_reason: the word for why the service switched it off.
        refusals: deliveries in a row that the receiver would not have.
        attempt: rises whenever a worker takes the webhook over; what an earlier one still writes is refused.
        lease_until: until then it belongs to the worker that took it.
        retry_at: nothing is sent before, as the oldest delivery that waits has failed.
        shown_secret: the secret itself in the one answer that makes it.
    """

    __tablename__ = "webhooks"

    shown_secret = HIDDEN

    owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    url: Mapped[str] = mapped_column(sa.String(2000))
    events: Mapped[list[str]] = mapped_column(Json)
    as_admin: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    description: Mapped[str] = mapped_column(sa.String(200), default="")
    secret: Mapped[str] = mapped_column(sa.Text)
    previous_secret: Mapped[str | None] = mapped_column(sa.Text)
    previous_secret_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    is_active: Mapped[bool] = mapped_column(default=True)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_reason: Mapped[str | None] = mapped_column(sa.String(40))
    refusals: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime] = mapped_column(UtcDateTime, default=EPOCH)
    retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    # Not by itself: leases change the row all the time.
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)

    __table_args__ = (
        sa.Index("ix_webhooks_owner", "owner_id", "created_at", "id"),
        partial_index("ix_webhooks_active", "owner_id", where="is_active"),
    )


class WebhookDelivery(HasId, Base):
    """A message to a webhook: the bytes of its body, and what came of each attempt to send it.

    Attributes:
        message_id: the event's id; a webhook gets it once, however often it is sent again.
        position: the event's place in the log, in whose order deliveries are sent.
        tries, first_tried_at: of the round that runs: sending anew begins another.
        attempts: the newest of all attempts, as ``sending`` writes them down.
        attempt_count, last_attempt_at, response_status, duration_ms, error: the last one in short.
    """

    __tablename__ = "webhook_deliveries"

    webhook_id: Mapped[UUID] = mapped_column(sa.ForeignKey("webhooks.id", ondelete="CASCADE"))
    message_id: Mapped[UUID] = mapped_column(sa.Uuid)
    position: Mapped[int] = mapped_column(sa.BigInteger)
    type: Mapped[str] = mapped_column(sa.String(80))
    body: Mapped[str] = mapped_column(sa.Text, deferred=True, deferred_group="whole")
    status: Mapped[str] = mapped_column(sa.String(10), default="pending")
    tries: Mapped[int] = mapped_column(default=0)
    first_tried_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(
        Json, default=list, deferred=True, deferred_group="whole"
    )
    attempt_count: Mapped[int] = mapped_column(default=0)
    last_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    response_status: Mapped[int | None]
    duration_ms: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(sa.String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)

    webhook: Mapped[Webhook] = relationship(lazy="select", viewonly=True)

    __table_args__ = (
        sa.CheckConstraint(f"status IN {STATUSES}", name="status"),
        sa.UniqueConstraint("webhook_id", "message_id", name="uq_webhook_deliveries_message"),
        # The outbox: what waits, in the order in which it is sent.
        partial_index("ix_webhook_deliveries_outbox", "webhook_id", "position", where="status = 'pending'"),
        sa.Index("ix_webhook_deliveries_log", "webhook_id", "created_at", "id"),
        sa.Index("ix_webhook_deliveries_created", "created_at"),
    )

    @property
    def state_tag(self) -> str:
        """Changes with each attempt, and as somebody has it sent once more."""
        return f"{self.status}-{self.attempt_count}-{self.tries}"

    @property
    def entity_tag(self) -> str:
        """Changes also with what its webhook says of where and when it is sent."""
        return f"{self.state_tag}.{digest(self.next_attempt_at, self.webhook.url)}"

    @property
    def request(self) -> dict[str, Any]:
        """What is sent, but for the headers of the signature."""
        headers = {"Content-Type": CONTENT_TYPE, "webhook-id": str(self.message_id)}
        return {"method": "POST", "url": self.webhook.url, "headers": headers, "body": self.body}

    @property
    def next_attempt_at(self) -> datetime | None:
        """When it is tried again, if it is what its webhook waits for."""
        return self.webhook.retry_at if self.status == "pending" and self.tries else None
