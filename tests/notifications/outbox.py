"""Putting messages into the outbox, and looking at them."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from flask import Flask

from taskapi.clients.mail import mail_client
from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.notifications import outbox
from taskapi.notifications.models import Email
from taskapi.notifications.service import notify


def queue(
    key: str = "k",
    *,
    recipient: str = "guest@example.com",
    user_id: UUID | None = None,
    sender_id: UUID | None = None,
) -> bool:
    """Put a reminder into the outbox; whether it is new."""
    context = {"title": "Tea", "message": "At four.", "task": None, "reason": "You asked for this reminder."}
    with transaction():
        return outbox.queue_email(
            key=key,
            kind="reminder",
            recipient=recipient,
            user_id=user_id,
            sender_id=sender_id,
            subject="Reminder",
            context=context,
        )


def emails() -> list[Email]:
    """All messages, as they are in the database now."""
    statement = sa.select(Email).order_by(Email.id).execution_options(populate_existing=True)
    found = list(session().scalars(statement))
    session().rollback()
    return found


def the_email() -> Email:
    (email,) = emails()
    return email


def deliver_at(moment: datetime, email_id: UUID) -> None:
    """One attempt at this time."""
    with clock.use(lambda: moment):
        outbox.deliver(email_id=email_id, client=mail_client())


def mailed(app: Flask) -> list[tuple[str, str]]:
    """Kind and recipient of everything in the outbox."""
    with app.app_context():
        return [(email.kind, email.recipient) for email in emails()]


def put_notifications(app: Flask, user_id: UUID, count: int) -> None:
    with app.app_context(), transaction():
        for number in range(count):
            notify(
                key=f"{user_id}:{number}",
                user_id=user_id,
                kind="reminder",
                title=f"No. {number}",
                message="m",
            )
