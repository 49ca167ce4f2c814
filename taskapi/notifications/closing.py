"""What becomes of notifications and e-mails when their user's account is closed or switched off."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.batches import batches
from taskapi.core.closing import all_deleted
from taskapi.core.db import session
from taskapi.core.mail_kinds import SECURITY_KINDS
from taskapi.notifications.models import Email, Notification

# Why a message was given up that no server had refused.
OWNER_INACTIVE = "The account was switched off before it was sent."
RECLAIMED = "Its sender's account went to who owns its address before it was sent."

foresee_messages_of = all_deleted("notifications", Notification.user_id)


def delete_messages_of(user_id: UUID, _actor: Actor | None) -> None:
    """Delete what was told to a user, and to others by them; an e-mail that waits is not sent any more."""
    for model, theirs in ((Notification, Notification.user_id == user_id), (Email, _mails_of(user_id))):
        session().execute(sa.delete(model).where(theirs).execution_options(synchronize_session=False))


def withhold_emails_of(user_id: UUID, is_active: bool, _actor: Actor | None) -> None:
    """Give up what waits for who is switched off or is sent by them, but for what concerns their account."""
    if is_active:
        return
    _give_up(OWNER_INACTIVE, _mails_of(user_id), Email.kind.not_in(SECURITY_KINDS))


def withhold_emails_to_others(user_id: UUID, _actor: Actor | None) -> None:
    """Give up what waits for addresses that the user has named."""
    _give_up(RECLAIMED, _mails_to_others(user_id))


def _give_up(why: str, *which: sa.ColumnElement[bool]) -> None:
    waiting = sa.update(Email).where(Email.status == "pending", *which)
    statement = waiting.values(status="failed", last_error=why)
    session().execute(statement.execution_options(synchronize_session=False))


def _mails_of(user_id: UUID) -> sa.ColumnElement[bool]:
    """What goes to them, and to addresses that they have named: that tells who asked for it."""
    return sa.or_(Email.user_id == user_id, _mails_to_others(user_id))


def _mails_to_others(user_id: UUID) -> sa.ColumnElement[bool]:
    return sa.and_(Email.sender_id == user_id, Email.user_id.is_(None))


def delete_emails(keys: Sequence[str]) -> None:
    """Delete e-mails that a user had sent to others when those named no sender as yet."""
    for some_keys in batches(keys):
        some = Email.key.in_(some_keys)
        session().execute(sa.delete(Email).where(some).execution_options(synchronize_session=False))
