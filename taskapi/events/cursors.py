"""Where a reader stands in the log, as text that clients keep.

A token names the last event that was read and whom it was read as. It fits no more once events after
it were forgotten, once the reader has another role, and when the database is another: one restored
from a backup may have given the same position to another event.
"""

import base64
import hashlib
import re
from binascii import Error as NotBase64
from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.errors import DomainError
from taskapi.core.events import Event
from taskapi.core.following import names_of
from taskapi.events.models import EventReader, ForgottenEvents

# 24 bytes: the id of an event, and a digest of the names of who read it.
TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")
MESSAGE_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# Stands for the event before the first.
NO_EVENT = UUID(int=0)
ROLE_CHANGED = "user.role_changed"


class CursorGone(DomainError):
    """Not all that changed since is known: fetch the lists, and then go on from ``next``.

    Events are kept for a while only (``EVENT_RETENTION_DAYS``); and who has got another role, or uses
    another account, may see other things than before.
    """

    status = 410
    code = "changes_expired"
    title = "Changes expired"

    def __init__(self) -> None:
        super().__init__("Not all that changed since is known: fetch the lists, and go on from 'next'.")


def looks_like_a_token(text: str) -> bool:
    """Whether it may be a token, or the id of a message, of this database or another."""
    return bool(TOKEN.fullmatch(text) or MESSAGE_ID.fullmatch(text))


def token_of(position: int, actor: Actor) -> str:
    """What the actor sends in order to go on after this position, which is that of an event, or 0."""
    event_id = session().scalar(sa.select(Event.id).where(Event.position == position)) or NO_EVENT
    return base64.urlsafe_b64encode(event_id.bytes + _digest(names_of(actor))).decode()


def position_of(token: str, actor: Actor) -> int:
    """After which position to go on: of a token of the actor's, or of a message that they were told.

    Raises:
        CursorGone: also for what is neither.
    """
    position = _of_message(token, actor) if MESSAGE_ID.fullmatch(token) else _of_token(token, actor)
    if position is None or position < forgotten_until():
        raise CursorGone
    return position


def forgotten_until() -> int:
    """The last position of which nobody knows any more whom it was for; 0 if nothing was forgotten."""
    return session().scalar(sa.select(ForgottenEvents.position)) or 0


def _of_token(token: str, actor: Actor) -> int | None:
    try:
        content = base64.b64decode(token, altchars=b"-_", validate=True)
    except (NotBase64, ValueError):
        return None
    if len(content) != 24 or content[16:] != _digest(names_of(actor)):
        return None
    event_id = UUID(bytes=content[:16])
    return 0 if event_id == NO_EVENT else _position_of_event(event_id)


def _of_message(message_id: str, actor: Actor) -> int | None:
    """The id says nothing of who was told, but what is known of the event and the reader does."""
    position = _position_of_event(UUID(message_id))
    if position is None or _has_changed_role(actor.user_id, position):
        return None
    told = sa.exists().where(EventReader.position == position, EventReader.reader_id.in_(names_of(actor)))
    is_known = session().scalar(sa.select(told)) or position == forgotten_until()
    return position if is_known else None


def _position_of_event(event_id: UUID) -> int | None:
    return session().scalar(sa.select(Event.position).where(Event.id == event_id))


def _has_changed_role(user_id: UUID, since: int) -> bool:
    later = sa.or_(Event.position > since, Event.position.is_(None))
    about_them = (Event.subject_type == "user", Event.subject_id == user_id, Event.type == ROLE_CHANGED)
    changed = sa.exists().where(*about_them, later)
    return session().scalar(sa.select(changed)) is True


def _digest(names: Collection[UUID]) -> bytes:
    return hashlib.sha256(b"".join(sorted(name.bytes for name in names))).digest()[:8]
