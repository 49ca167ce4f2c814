"""Who gets the e-mail of a reminder or report: its user, or somebody elsewhere, up to so many an hour."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.core import clock
from taskapi.core.db import session
from taskapi.core.runtime import runtime_settings
from taskapi.notifications import outbox
from taskapi.notifications.models import Email

WINDOW = timedelta(hours=1)


class MailLimitReached(Exception):
    """A user has had as many e-mails sent elsewhere within an hour as ``USER_MAILS_PER_HOUR`` allows.

    Args:
        retry_after: seconds until there is room for another.
    """

    def __init__(self, *, retry_after: float) -> None:
        super().__init__("Too many e-mails were sent to other addresses within the hour.")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """An address, and why it is mailed.

    Attributes:
        key: makes the e-mail unique.
        user_id: who is told, as they are told of everything; None where somebody named the address.
        sender_id: who that was.
        reason: a sentence for the one who reads it.
    """

    key: str
    address: str
    user_id: UUID | None
    sender_id: UUID | None
    reason: str


def find_recipient(*, user_id: UUID, kind: str, to: str | None, key: str) -> Recipient | None:
    """To whom something goes that a user asked for; None if they want no mail of this kind.

    Args:
        to: an address, whoever's it is; else their own.
        key: of what is told, whoever is mailed.

    Raises:
        MailLimitReached: it would go to somebody else.
    """
    user, wants_mail = accounts.mail_preference(user_id=user_id, kind=kind)
    own = user.email if user is not None else ""
    address = to or (own if wants_mail else None)
    if address is None or (to is not None and outbox.is_suppressed(to)):
        return None
    asker = (user.full_name or user.username) if user is not None else "Somebody"
    found = Recipient(
        key=mail_key(key=key, kind=kind, address=address),
        address=address,
        user_id=None if to else user_id,
        sender_id=user_id if to else None,
        reason=f"{asker if to else 'You'} asked for this {kind}.",
    )
    if address.casefold() != own.casefold():
        _check_limit(user_id, own, found.key)
    return found


def mail_key(*, key: str, kind: str, address: str) -> str:
    """The key of the e-mail by which an address is told of something."""
    return f"{key}:{kind}:{address.casefold()}"


def _check_limit(sender_id: UUID, own: str, key: str) -> None:
    """Those who ask at the same time may exceed it by so many."""
    limit, since = runtime_settings().user_mails_per_hour, clock.now() - WINDOW
    if not limit:
        return
    to_others = (Email.sender_id == sender_id, sa.func.lower(Email.recipient) != own.lower())
    sent = sa.select(Email.created_at).where(*to_others, Email.created_at > since)
    in_the_way = session().scalar(sent.order_by(Email.created_at.desc()).offset(limit - 1).limit(1))
    if in_the_way is None or session().scalar(sa.select(sa.exists().where(Email.key == key))):
        return
    raise MailLimitReached(retry_after=(in_the_way - since).total_seconds())
