"""Jobs of the notifications room, called by workers."""

from uuid import UUID

from taskapi.background.idling import before_idle
from taskapi.background.process import is_work_horse
from taskapi.clients.mail import mail_client
from taskapi.notifications import outbox


def deliver_email(email_id: str) -> None:
    """Try to send one message of the outbox."""
    client = mail_client()
    if is_work_horse():
        before_idle(client.hang_up)
    outbox.deliver(email_id=UUID(email_id), client=client, keep_open=is_work_horse())


def sweep_emails() -> None:
    """Queue messages again that wait for a second attempt, or that Redis forgot."""
    outbox.sweep()
