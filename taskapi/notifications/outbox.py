"""The outbox: e-mails are rows first, written with what caused them, and sent by workers after."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog

from taskapi.accounts import service as accounts
from taskapi.accounts.one_time import secret_of
from taskapi.background.deadline import DeadlineExceeded, deadline
from taskapi.background.enqueue import JobCall, enqueue, queued_job_ids
from taskapi.background.names import DELIVER_EMAIL, Queue
from taskapi.clients.mail import MailClient, OutgoingEmail
from taskapi.clients.smtp import MailError
from taskapi.core.db import database_now, on_commit, read_database_clock, session, transaction
from taskapi.core.json import storable_text
from taskapi.core.mail_kinds import SECURITY_KINDS
from taskapi.core.meters import Counter
from taskapi.core.repeating import patiently
from taskapi.core.upserts import insert_if_new
from taskapi.notifications import limit
from taskapi.notifications.attachments import read_attachment
from taskapi.notifications.closing import OWNER_INACTIVE
from taskapi.notifications.models import Email, MailSuppression
from taskapi.notifications.templates import render_email
from taskapi.notifications.unsubscribe import unsubscribe_url, which_emails

log = structlog.get_logger(__name__)

MAILS = Counter(
    "taskapi_mails_total",
    "Attempts to send an e-mail",
    ("outcome",),
    known=("sent", "postponed", "failed"),
)

# A server may be slow at every step: all of them together get so long, the job and the lease longer.
SEND_SECONDS = 60.0
JOB_SECONDS = 90
LEASE_SECONDS = 120.0
# What is left of the job's time when sending took all of its own.
NOTE_SECONDS = 20.0
SWEEP_BATCH = 500
# A job that was queued is taken within seconds; a row waiting longer is queued again.
FORGOTTEN_AFTER_SECONDS = 10.0
# 30 s, 1 min, 2 min … about a day in all before a temporary refusal becomes final.
FIRST_PAUSE_SECONDS = 30
LONGEST_PAUSE_SECONDS = 4 * 3600
MAX_ATTEMPTS = 14
# Stands in the stored texts for the secret of a link.
SECRET_PLACEHOLDER = "{one-time-token}"  # noqa: S105 - it is none


def queue_email(
    *,
    key: str,
    kind: str,
    recipient: str,
    user_id: UUID | None,
    subject: str,
    context: dict[str, Any],
    one_time_token_id: UUID | None = None,
    file_id: UUID | None = None,
    sender_id: UUID | None = None,
) -> bool:
    """Put a message into the outbox unless one with this key is or was there.

    Args:
        kind: names the template and the preference; ``context`` is what the template shows.
        one_time_token_id: whose secret takes the place of ``SECRET_PLACEHOLDER`` when it is sent.
        file_id: what it brings with it.
        sender_id: who causes it, where that is somebody else. Beyond their limit a user is not mailed;
            whoever names an address asks before whether there is room (``recipients``).
    """
    if user_id is None and is_suppressed(recipient):
        return False
    if user_id is not None and kind not in SECURITY_KINDS:
        sender_id = sender_id or _unconfirmed(user_id, kind)
        if sender_id is not None and not limit.has_room(sender_id):
            log.info("email.over_limit", kind=kind, sender=str(sender_id))
            return False
    unsubscribing = _unsubscribing(kind, recipient, user_id)
    text, html = render_email(kind, {**context, **unsubscribing, "subject": subject})
    email_id = insert_if_new(
        Email,
        key=key,
        user_id=user_id,
        kind=kind,
        recipient=recipient,
        subject=" ".join(subject.split())[:300],
        text=text,
        html=html,
        unsubscribe_url=unsubscribing["unsubscribe_url"],
        one_time_token_id=one_time_token_id,
        file_id=file_id,
        sender_id=sender_id,
        status="pending",
        attempts=0,
        next_attempt_at=read_database_clock(),
    )
    if email_id is None:
        return False
    on_commit(_enqueue, [(str(email_id), job_id(email_id, 0))])
    return True


def _unconfirmed(user_id: UUID, kind: str) -> UUID | None:
    """The user, if the address that they have given may be a stranger's: then they count as the sender."""
    user, _ = accounts.mail_preference(user_id=user_id, kind=kind)
    return None if user is None or user.email_verified else user.id


def _unsubscribing(kind: str, recipient: str, user_id: UUID | None) -> dict[str, str | None]:
    """The link that stops e-mails of this kind, and its words; messages about security have none."""
    if kind in SECURITY_KINDS:
        return {"unsubscribe_url": None, "unsubscribe_words": None}
    return {
        "unsubscribe_url": unsubscribe_url(user_id=user_id, address=recipient, kind=kind),
        "unsubscribe_words": f"Stop {which_emails(user_id=user_id, kind=kind)}",
    }


def job_id(email_id: UUID, attempts: int) -> str:
    """The id of the RQ job that will make the attempt after so many."""
    return f"email-{email_id}-{attempts + 1}"


def is_suppressed(address: str) -> bool:
    """Whether this address, not a user's, asked for no more e-mail."""
    found = sa.exists().where(MailSuppression.address_key == address.casefold())
    return session().scalar(sa.select(found)) is True


def deliver(*, email_id: UUID, client: MailClient, keep_open: bool = False) -> None:
    """Try to send one message; nothing happens if it is sent, given up, or another worker's.

    Args:
        keep_open: the connection to the mail server may serve for the next message.
    """
    with transaction():
        email = _claim(email_id)
        outgoing = _outgoing(email) if email else None
    if email is None:
        log.debug("email.not_pending", email_id=str(email_id))
        return
    # No transaction is open while the mail server takes its time.
    if isinstance(outgoing, OutgoingEmail):
        _note(email, _send(client, outgoing, email.file_id, keep_open=keep_open))
    else:
        _note(email, outgoing)


def _note(email: Email, error: MailError | None) -> None:
    """Write down what came of it, as soon as the database is there: else it would be sent once more."""

    def write() -> None:
        with transaction():
            _settle(email, error)

    patiently(write, what="email_note", seconds=NOTE_SECONDS, email_id=str(email.id))


def _send(
    client: MailClient, email: OutgoingEmail, file_id: UUID | None, *, keep_open: bool
) -> MailError | None:
    try:
        with deadline(SEND_SECONDS):
            attachment = read_attachment(file_id) if file_id else None
            client.send(replace(email, attachment=attachment), keep_open=keep_open)
    except MailError as refusal:
        return refusal
    except DeadlineExceeded:
        return MailError(f"The mail server took longer than {SEND_SECONDS:g} s.", temporary=True)
    except Exception as error:
        # Whatever went wrong is kept with the message; a reason nobody wrote down helps nobody.
        log.exception("email.raised", email_id=email.message_id)
        return MailError(storable_text(f"{type(error).__name__}: {error}"), temporary=True)
    return None


def _outgoing(email: Email) -> OutgoingEmail | MailError:
    """The message as it leaves, or why it does not any more."""
    if _is_withheld(email):
        return MailError(OWNER_INACTIVE, temporary=False)
    text, html = email.text, email.html
    if email.one_time_token_id is not None:
        secret = secret_of(one_time_token_id=email.one_time_token_id)
        if secret is None:
            return MailError("The link in it works no longer.", temporary=False)
        text, html = (part.replace(SECRET_PLACEHOLDER, secret) for part in (text, html))
    return OutgoingEmail(
        message_id=str(email.id),
        recipient=email.recipient,
        subject=email.subject,
        text=text,
        html=html,
        unsubscribe_url=email.unsubscribe_url,
    )


def _is_withheld(email: Email) -> bool:
    """Whether who gets or sends it was switched off while it was on its way, and refused for a time."""
    owner_id = email.user_id or email.sender_id
    if email.attempts == 1 or owner_id is None or email.kind in SECURITY_KINDS:
        return False
    user, _ = accounts.mail_preference(user_id=owner_id, kind=email.kind)
    return user is None or not user.is_active


def _claim(email_id: UUID) -> Email | None:
    statement: Any = (
        sa.update(Email)
        .where(Email.id == email_id, Email.status == "pending", Email.next_attempt_at <= database_now())
        .values(status="sending", attempts=Email.attempts + 1, lease_until=database_now(LEASE_SECONDS))
        .returning(Email)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    claimed: Email | None = session().scalars(statement).one_or_none()
    if claimed is not None:
        # What was claimed stays known while the database is away.
        session().expunge(claimed)
    return claimed


def _settle(email: Email, error: MailError | None) -> None:
    mine = (Email.id == email.id, Email.attempts == email.attempts, Email.status == "sending")
    values: dict[str, Any] = {"lease_until": None}
    outcome = "sent"
    if error is None:
        values |= {"status": "sent", "sent_at": database_now(), "last_error": None}
        log.info("email.sent", email_id=str(email.id), kind=email.kind)
    elif error.temporary and email.attempts < MAX_ATTEMPTS:
        outcome = "postponed"
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (email.attempts - 1), LONGEST_PAUSE_SECONDS)
        again = read_database_clock() + timedelta(seconds=pause)
        values |= {"status": "pending", "next_attempt_at": again, "last_error": str(error)}
        log.warning("email.postponed", email_id=str(email.id), error=str(error), pause=pause)
    else:
        outcome = "failed"
        values |= {"status": "failed", "last_error": str(error)}
        log.error("email.given_up", email_id=str(email.id), error=str(error))
    settled = session().execute(
        sa.update(Email).where(*mine).values(**values).execution_options(synchronize_session=False)
    )
    if settled.rowcount:  # type: ignore[attr-defined]
        on_commit(MAILS.add, outcome)


def sweep() -> int:
    """Queue messages again whose worker died, whose pause is over, or that Redis forgot; how many.

    A message that was just taken from the queue may be queued twice: the claim lets one through.
    """
    with transaction():
        _take_back()
    waiting = _waiting()
    in_redis = queued_job_ids(Queue.MAIL) if waiting else None
    if in_redis is None:
        return 0
    # What is still queued must not be queued again, or a backlog would feed itself.
    forgotten = [(email_id, job_id) for email_id, job_id in waiting if job_id not in in_redis]
    _enqueue(forgotten[:SWEEP_BATCH])
    return len(forgotten[:SWEEP_BATCH])


def _take_back() -> None:
    """Free messages whose worker died; one that seems to kill its workers is given up."""
    lost = sa.and_(Email.status == "sending", Email.lease_until < database_now())
    given_up = {"status": "failed", "last_error": f"The worker was lost; {MAX_ATTEMPTS} attempts were made."}
    # Old enough for the same sweep to queue it.
    due_now = database_now(-FORGOTTEN_AFTER_SECONDS - 1)
    update = sa.update(Email).execution_options(synchronize_session=False)
    session().execute(update.where(lost, Email.attempts >= MAX_ATTEMPTS).values(**given_up, lease_until=None))
    session().execute(update.where(lost).values(status="pending", lease_until=None, next_attempt_at=due_now))


def _waiting() -> list[tuple[str, str]]:
    due = sa.select(Email.id, Email.attempts).where(
        Email.status == "pending", Email.next_attempt_at <= database_now(-FORGOTTEN_AFTER_SECONDS)
    )
    rows = session().execute(due.order_by(Email.next_attempt_at).limit(SWEEP_BATCH * 20)).all()
    session().rollback()
    return [(str(email_id), job_id(email_id, attempts)) for email_id, attempts in rows]


def _enqueue(jobs: list[tuple[str, str]]) -> None:
    enqueue(
        Queue.MAIL,
        [
            JobCall(name=DELIVER_EMAIL, args=[email_id], job_id=job, timeout=JOB_SECONDS)
            for email_id, job in jobs
        ],
    )
