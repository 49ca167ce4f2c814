"""In-app notifications, the outbox of e-mails, and addresses that want none."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.columns import HasId, UtcDateTime, partial_index
from taskapi.core.db import Base


class Notification(HasId, Base):
    """Something a user should know, once per ``key``."""

    __tablename__ = "notifications"

    key: Mapped[str] = mapped_column(sa.String(200), unique=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(sa.String(40))
    title: Mapped[str] = mapped_column(sa.String(300))
    message: Mapped[str] = mapped_column(sa.Text)
    task_id: Mapped[UUID | None] = mapped_column(sa.Uuid)
    is_read: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)

    __table_args__ = (
        sa.Index("ix_notifications_user", "user_id", "created_at", "id"),
        partial_index("ix_notifications_unread", "user_id", where="NOT is_read"),
    )


class Email(HasId, Base):
    """A message to send. Its key makes it unique: work that is done twice mails once."""

    __tablename__ = "emails"

    key: Mapped[str] = mapped_column(sa.String(300), unique=True)
    user_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(sa.String(40))
    recipient: Mapped[str] = mapped_column(sa.String(254))
    subject: Mapped[str] = mapped_column(sa.String(300))
    text: Mapped[str] = mapped_column(sa.Text)
    html: Mapped[str] = mapped_column(sa.Text)
    unsubscribe_url: Mapped[str | None] = mapped_column(sa.Text)
    # Whose secret stands in the link: it is put into the texts when the message leaves.
    one_time_token_id: Mapped[UUID | None] = mapped_column(sa.Uuid)
    # What it brings with it, if that is still there when the message leaves.
    file_id: Mapped[UUID | None] = mapped_column(sa.Uuid)
    # Who has caused it, if it does not simply go to their own address.
    sender_id: Mapped[UUID | None] = mapped_column(sa.Uuid)
    status: Mapped[str] = mapped_column(sa.String(10), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)

    __table_args__ = (
        sa.CheckConstraint("status IN ('pending', 'sending', 'sent', 'failed')", name="status"),
        partial_index("ix_emails_open", "next_attempt_at", where="status IN ('pending', 'sending')"),
        partial_index("ix_emails_sender", "sender_id", "created_at", where="sender_id IS NOT NULL"),
    )


class MailSuppression(HasId, Base):
    """An address, not a user's, that asked for no more e-mail."""

    __tablename__ = "mail_suppressions"

    address_key: Mapped[str] = mapped_column(sa.String(254), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
