"""The audit's chain: each event's hash is made of the event and of the hash before it.

What an event tells (before, after, address, context) enters by a salted digest, so that it can be
erased later without breaking the chain. `docs/audit.md` describes the bytes for other programs.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm.attributes import set_committed_value

from taskapi.core.arrays import as_lists, unfolded, uses_arrays
from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.events.models import AuditHead

GENESIS = bytes(32)
SALT_BYTES = 16
CONTENT = ("before", "after", "address", "context")
# Events that an older release has placed while processes were replaced: so many in a transaction.
MAX_ADOPTED = 500

# Sets a column of an event, to be written by the session or beside it.
Note = Callable[[Event, str, Any], None]
# What a link sets of an event, as parameters.
_LINK: dict[str, sa.types.TypeEngine[Any]] = {
    "event_id": sa.Uuid(),
    "new_position": sa.BigInteger(),
    **dict.fromkeys(("new_salt", "new_content_digest", "new_hash"), sa.LargeBinary()),
}

# Made once: the relay hashes each event of the installation.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def canonical(value: Any) -> bytes:
    """JSON with sorted names, without blanks, all but ASCII escaped."""
    return _encode(value).encode()


def content_of(event: Event) -> dict[str, Any]:
    """What can be erased."""
    return {name: getattr(event, name) for name in CONTENT}


def record_of(event: Event) -> dict[str, Any]:
    """What is hashed of a linked event, as JSON values."""
    return {
        "position": event.position,
        "id": str(event.id),
        "type": event.type,
        "actor_id": _text(event.actor_id),
        "owner_id": _text(event.owner_id),
        "subject_type": event.subject_type,
        "subject_id": str(event.subject_id),
        "topic_id": _text(event.topic_id),
        "request_id": event.request_id,
        "created_at": exact_time(event.created_at),
        "content_digest": event.content_digest.hex() if event.content_digest else None,
    }


def exact_time(moment: datetime) -> str:
    """RFC 3339 in UTC, always with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def digest_of(event: Event, salt: bytes) -> bytes:
    return hashlib.sha256(salt + canonical(content_of(event))).digest()


def hash_of(event: Event, previous: bytes) -> bytes:
    return hashlib.sha256(previous + canonical(record_of(event))).digest()


def open_chain() -> AuditHead:
    """Where the chain ends, in the transaction of the only relay; the first time, it begins here."""
    newest = sa.select(AuditHead).execution_options(populate_existing=True)
    head = session().scalar(newest)
    if head is None:
        last = last_position()
        head = AuditHead(id=1, first=last + 1, position=last, hash=GENESIS)
        session().add(head)
    return head


def last_position() -> int:
    return session().scalar(sa.select(sa.func.max(Event.position))) or 0


def extend(head: AuditHead, events: Sequence[Event]) -> None:
    """Place events at the end of the chain, in this order."""
    at_once = uses_arrays()
    note: Note = set_committed_value if at_once else setattr
    for event in events:
        head.position += 1
        note(event, "position", head.position)
        _link(head, event, note)
    if at_once and events:
        session().connection().execute(_writing(), as_lists(map(_link_of, events), _LINK))
    session().flush()


def _link_of(event: Event) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "new_position": event.position,
        "new_salt": event.salt,
        "new_content_digest": event.content_digest,
        "new_hash": event.hash,
    }


@cache
def _writing() -> sa.Update:
    """The links of all events by one statement, in the place of one for each."""
    links = unfolded("links", _LINK)
    values = {name.removeprefix("new_"): links.c[name] for name in _LINK if name != "event_id"}
    return sa.update(Event.__table__).where(Event.id == links.c.event_id).values(values)  # type: ignore[arg-type]


def adopt_strays(head: AuditHead) -> int:
    """Link events that have a position but no hash: a relay of an older release placed them.

    Returns:
        how many; those that are linked already are somebody's forgery, which the verification tells.
    """
    if last_position() <= head.position:
        return 0
    strays = sa.select(Event).where(Event.position > head.position).order_by(Event.position)
    found = session().scalars(strays.limit(MAX_ADOPTED).with_for_update()).all()
    for event in found:
        head.position = event.position or head.position
        if event.content_digest is None:
            _link(head, event)
        else:
            head.hash = event.hash or head.hash
    session().flush()
    return len(found)


def _link(head: AuditHead, event: Event, note: Note = setattr) -> None:
    salt = secrets.token_bytes(SALT_BYTES)
    note(event, "salt", salt)
    note(event, "content_digest", digest_of(event, salt))
    head.hash = hash_of(event, head.hash)
    note(event, "hash", head.hash)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
