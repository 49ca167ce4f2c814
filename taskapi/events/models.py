"""Who was told of which event, and deliveries to subscribers that failed and will be tried again."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core.columns import HasId, UtcDateTime
from taskapi.core.db import Base


class EventReader(Base):
    """Who saw what an event tells of when it was relayed: a user, or one of the circles.

    Attributes:
        formerly: until this event, and not any more; later nothing else may be left that says so.
    """

    __tablename__ = "event_readers"

    reader_id: Mapped[UUID] = mapped_column(sa.Uuid, primary_key=True)
    position: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    formerly: Mapped[bool] = mapped_column(default=False)

    # What is forgotten with old events is found by this.
    __table_args__ = (sa.Index("ix_event_readers_position", "position"),)


class ForgottenEvents(Base):
    """The one row says up to which position it is forgotten whom events were for; without it nothing is."""

    __tablename__ = "forgotten_events"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    position: Mapped[int] = mapped_column(sa.BigInteger)


class AuditHead(Base):
    """The one row says how far the audit's chain goes, so that a removed end is found, too.

    Attributes:
        first: the first position of the chain; what lies before happened under an older release.
        position, hash: of its last event; before the first one, the position before it and zeros.
    """

    __tablename__ = "audit_heads"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    first: Mapped[int] = mapped_column(sa.BigInteger)
    position: Mapped[int] = mapped_column(sa.BigInteger)
    hash: Mapped[bytes] = mapped_column(sa.LargeBinary)


class FailedDelivery(HasId, Base):
    """A subscriber raised for an event: others went on, this one is tried again until it succeeds."""

    __tablename__ = "failed_deliveries"

    event_id: Mapped[UUID] = mapped_column(sa.ForeignKey("events.id", ondelete="CASCADE"))
    subscriber: Mapped[str] = mapped_column(sa.String(80))
    attempts: Mapped[int] = mapped_column(default=1)
    retry_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    error: Mapped[str] = mapped_column(sa.Text)

    __table_args__ = (sa.UniqueConstraint("event_id", "subscriber"),)
