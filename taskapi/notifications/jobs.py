"""Jobs of the notifications room, called by workers."""

from uuid import UUID

from taskapi.clients.mail import mail_client
from taskapi.notifications import outbox


def deliver_email(email_id: str) -> None:
    """Try to send one message of the outbox."""
    outbox.deliver(email_id=UUID(email_id), client=mail_client())


def sweep_emails() -> None:
    """Queue messages again that wait for a second attempt, or that Redis forgot."""
    outbox.sweep()
