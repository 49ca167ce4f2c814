"""The outbox: e-mails are rows first, written with what caused them, and sent by workers after."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog

from taskapi.background.enqueue import JobCall, enqueue
from taskapi.background.names import DELIVER_EMAIL, Queue
from taskapi.clients.mail import MailClient, MailError, OutgoingEmail
from taskapi.core.db import database_now, insert_if_new, on_commit, read_database_clock, session, transaction
from taskapi.notifications.models import Email, MailSuppression
from taskapi.notifications.templates import render_email
from taskapi.notifications.unsubscribe import unsubscribe_url

log = structlog.get_logger(__name__)

LEASE_SECONDS = 60.0
SWEEP_BATCH = 500
# A job that was queued is taken within seconds; a row waiting longer is queued again.
FORGOTTEN_AFTER_SECONDS = 10.0
# 30 s, 1 min, 2 min … about a day in all before a temporary refusal becomes final.
FIRST_PAUSE_SECONDS = 30
LONGEST_PAUSE_SECONDS = 4 * 3600
MAX_ATTEMPTS = 14


def queue_email(
    *, key: str, kind: str, recipient: str, user_id: UUID | None, subject: str, context: dict[str, Any]
) -> bool:
    """Put a message into the outbox unless one with this key is or was there.

    Args:
        kind: names the template and the preference; ``context`` is what the template shows.
    """
    if user_id is None and _is_suppressed(recipient):
        return False
    link = unsubscribe_url(user_id=user_id, address=recipient, kind=kind)
    text, html = render_email(kind, {**context, "subject": subject, "unsubscribe_url": link})
    email_id = insert_if_new(
        Email,
        key=key,
        user_id=user_id,
        kind=kind,
        recipient=recipient,
        subject=" ".join(subject.split())[:300],
        text=text,
        html=html,
        unsubscribe_url=link,
        status="pending",
        attempts=0,
        next_attempt_at=read_database_clock(),
    )
    if email_id is None:
        return False
    on_commit(_enqueue, [(str(email_id), f"email-{email_id}-1")])
    return True


def _is_suppressed(address: str) -> bool:
    found = sa.exists().where(MailSuppression.address_key == address.casefold())
    return session().scalar(sa.select(found)) is True


def deliver(*, email_id: UUID, client: MailClient) -> None:
    """Try to send one message; nothing happens if it is sent, given up, or another worker's."""
    with transaction():
        email = _claim(email_id)
    if email is None:
        log.info("email.not_pending", email_id=str(email_id))
        return
    # No transaction is open while the mail server takes its time.
    error: MailError | None = None
    try:
        client.send(_outgoing(email))
    except MailError as refusal:
        error = refusal
    with transaction():
        _settle(email, error)


def _outgoing(email: Email) -> OutgoingEmail:
    return OutgoingEmail(
        message_id=str(email.id),
        recipient=email.recipient,
        subject=email.subject,
        text=email.text,
        html=email.html,
        unsubscribe_url=email.unsubscribe_url,
    )


def _claim(email_id: UUID) -> Email | None:
    statement: Any = (
        sa.update(Email)
        .where(Email.id == email_id, Email.status == "pending", Email.next_attempt_at <= database_now())
        .values(status="sending", attempts=Email.attempts + 1, lease_until=database_now(LEASE_SECONDS))
        .returning(Email)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    claimed: Email | None = session().scalars(statement).one_or_none()
    return claimed


def _settle(email: Email, error: MailError | None) -> None:
    mine = (Email.id == email.id, Email.attempts == email.attempts, Email.status == "sending")
    values: dict[str, Any] = {"lease_until": None}
    if error is None:
        values |= {"status": "sent", "sent_at": database_now(), "last_error": None}
        log.info("email.sent", email_id=str(email.id), kind=email.kind)
    elif error.temporary and email.attempts < MAX_ATTEMPTS:
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (email.attempts - 1), LONGEST_PAUSE_SECONDS)
        again = read_database_clock() + timedelta(seconds=pause)
        values |= {"status": "pending", "next_attempt_at": again, "last_error": str(error)}
        log.warning("email.postponed", email_id=str(email.id), error=str(error), pause=pause)
    else:
        values |= {"status": "failed", "last_error": str(error)}
        log.error("email.given_up", email_id=str(email.id), error=str(error))
    session().execute(
        sa.update(Email).where(*mine).values(**values).execution_options(synchronize_session=False)
    )


def sweep() -> int:
    """Queue messages again whose worker died, whose pause is over, or that Redis forgot; how many."""
    with transaction():
        session().execute(
            sa.update(Email)
            .where(Email.status == "sending", Email.lease_until < database_now())
            .values(
                status="pending", lease_until=None, next_attempt_at=database_now(-FORGOTTEN_AFTER_SECONDS - 1)
            )
            .execution_options(synchronize_session=False)
        )
        due = sa.select(Email).where(
            Email.status == "pending", Email.next_attempt_at <= database_now(-FORGOTTEN_AFTER_SECONDS)
        )
        emails = session().scalars(due.order_by(Email.next_attempt_at).limit(SWEEP_BATCH)).all()
        jobs = [(str(email.id), email.job_id) for email in emails]
        on_commit(_enqueue, jobs)
        return len(jobs)


def _enqueue(jobs: list[tuple[str, str]]) -> None:
    enqueue(Queue.MAIL, [JobCall(name=DELIVER_EMAIL, args=[email_id], job_id=job) for email_id, job in jobs])
