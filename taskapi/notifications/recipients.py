"""Who gets the e-mail of a reminder or report: its user, or an address that they name."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.core.db import session
from taskapi.notifications import limit, outbox
from taskapi.notifications.models import Email


class MailLimitReached(Exception):
    """A user has caused as many e-mails within an hour as ``USER_MAILS_PER_HOUR`` allows.

    Args:
        retry_after: seconds until there may be room for another.
    """

    def __init__(self, *, retry_after: float) -> None:
        super().__init__("Too many e-mails were sent to others within the hour.")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """An address, and why it is mailed.

    Attributes:
        kind: of the e-mail.
        key: makes it unique.
        user_id: whose address it is; None where it was named.
        sender_id: who has named it.
        reason: a sentence for the one who reads it.
    """

    kind: str
    key: str
    address: str
    user_id: UUID | None
    sender_id: UUID | None
    reason: str


def find_recipient(*, user_id: UUID, kind: str, to: str | None, key: str) -> Recipient | None:
    """To whom something goes that a user asked for; None if nobody is to be mailed.

    Args:
        to: an address, which may be their own; without it that, if they want mails of this kind.
        key: of what is told, whoever is mailed.

    Raises:
        MailLimitReached: it would go to somebody else.
    """
    user, wants_mail = accounts.mail_preference(user_id=user_id, kind=kind)
    if user is None or not user.is_active:
        return None
    address = to or user.email
    is_own = address.casefold() == user.email.casefold()
    if (to is None and not wants_mail) or (not is_own and outbox.is_suppressed(address)):
        return None
    # A full name may be any words, such as those of a bank.
    asker = f"{user.full_name} ({user.username})" if user.full_name else user.username
    found = Recipient(
        kind=kind,
        key=mail_key(key=key, kind=kind, address=address),
        address=address,
        user_id=user.id if is_own else None,
        sender_id=None if is_own else user.id,
        reason=f"{'You' if is_own else asker} asked for this {kind}.",
    )
    if not (is_own or limit.has_room(user.id) or _is_there(found.key)):
        raise MailLimitReached(retry_after=limit.seconds_until_room(user.id))
    return found


def mail(
    recipient: Recipient | None, *, subject: str, context: dict[str, Any], file_id: UUID | None = None
) -> list[str]:
    """E-mail somebody once per key; the addresses that were mailed, now or before."""
    if recipient is None:
        return []
    is_new = outbox.queue_email(
        key=recipient.key,
        kind=recipient.kind,
        recipient=recipient.address,
        user_id=recipient.user_id,
        sender_id=recipient.sender_id,
        subject=subject,
        context={**context, "reason": recipient.reason},
        file_id=file_id,
    )
    return [recipient.address] if is_new or _is_there(recipient.key) else []


def mail_key(*, key: str, kind: str, address: str) -> str:
    """The key of the e-mail by which an address is told of something."""
    return f"{key}:{kind}:{address.casefold()}"


def _is_there(key: str) -> bool:
    return session().scalar(sa.select(sa.exists().where(Email.key == key))) is True
