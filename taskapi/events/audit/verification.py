"""Verifying the chain: what was altered, removed or erased without a reason, and where.

Who may do everything in the database can also compute a new chain: a head that was written down
elsewhere (``audit verify`` prints it) finds that, too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import db, session
from taskapi.core.events import Event
from taskapi.events.audit.chain import CONTENT, GENESIS, digest_of, hash_of
from taskapi.events.models import AuditHead

BATCH = 1_000
# What is told; beyond it is only counted.
MAX_FAULTS = 100
# Beyond all positions.
NEVER = 2**62
# After these events of a user, what was theirs is erased; after this one of a task, its history is.
USER_ERASED, TASK_ERASED = ("user.closed", "user.deleted"), ("task.purged",)

Advance = Callable[[int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with the chain at a position, or from there to ``until``.

    Attributes:
        kind: ``altered``, ``missing``, ``erased``, ``end_removed``, ``unlinked`` or ``rewritten``.
    """

    position: int
    until: int
    kind: str
    detail: str


@dataclass(slots=True, kw_only=True)
class Verification:
    """What was found.

    Attributes:
        checked: how many events of the chain.
        erased: how many of them were erased with a reason.
        before: how many happened before the chain began, of which it knows nothing.
        waiting: how many are not linked yet, as they were written just now.
        head: the last position and its hash, to be written down elsewhere; None of an empty chain.
        fault_count: of all, also those that are not told.
    """

    checked: int = 0
    erased: int = 0
    before: int = 0
    waiting: int = 0
    head: str | None = None
    fault_count: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.fault_count == 0

    def add(self, kind: str, position: int, detail: str, *, until: int | None = None) -> None:
        self.fault_count += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(position=position, until=until or position, kind=kind, detail=detail))


def verify_chain(*, heads: Sequence[tuple[int, str]] = (), advance: Advance = lambda _: None) -> Verification:
    """Read the whole chain, a batch at a time; others go on writing meanwhile.

    Args:
        heads: positions and hashes, in hexadecimal, that were written down before.
        advance: told how many more events have been read.
    """
    found = Verification()
    # Read first: what is linked from now on is not looked at.
    head = session().scalar(sa.select(AuditHead).execution_options(populate_existing=True))
    first, last = (head.first, head.position) if head else (NEVER, 0)
    expected_hash = head.hash if head else GENESIS
    found.before = _count(Event.position < first)
    found.waiting = _count(Event.position.is_(None))
    _check_outside(found, first, last)
    walk = _Walk(found, first)
    for events in _batches(first, last):
        walk.check(events)
        advance(len(events))
    _check_end(found, walk, last, expected_hash)
    for position, text in heads:
        _check_known_head(found, position, text)
    return found


def chain_length() -> int:
    """How many events a verification will read."""
    head = session().scalar(sa.select(AuditHead))
    return head.position - head.first + 1 if head else 0


class _Walk:
    """Goes through the chain in order and remembers the event before."""

    def __init__(self, found: Verification, first: int) -> None:
        self.found = found
        self.position, self.hash = first - 1, GENESIS
        # After what is missing nobody knows the hash before.
        self.is_sure = True

    def check(self, events: Sequence[Event]) -> None:
        erased = [event for event in events if event.content_digest is not None and event.salt is None]
        reasons = _Reasons(erased)
        for event in events:
            self._check(event, reasons)

    def _check(self, event: Event, reasons: "_Reasons") -> None:
        position = event.position or 0
        if position > self.position + 1:
            detail = "removed, or never there"
            self.found.add("missing", self.position + 1, detail, until=position - 1)
            self.is_sure = False
        self.found.checked += 1
        fault = self._fault_of(event, reasons)
        if fault:
            self.found.add(fault[0], position, fault[1])
        self.position, self.hash = position, event.hash or self.hash
        self.is_sure = event.hash is not None

    def _fault_of(self, event: Event, reasons: "_Reasons") -> tuple[str, str] | None:
        if event.hash is None or event.content_digest is None:
            return "unlinked", "it has no hash"
        if self.is_sure and hash_of(event, self.hash) != event.hash:
            return "altered", "it, or the event before it, is not what was linked here"
        if event.salt is not None:
            same = digest_of(event, event.salt) == event.content_digest
            return None if same else ("altered", "what it tells is not what was recorded")
        if any(getattr(event, name) is not None for name in CONTENT):
            return "altered", "it was erased, but tells something"
        if not reasons.explain(event):
            return "erased", "no later event says why it was erased"
        self.found.erased += 1
        return None


class _Reasons:
    """Up to which position the owners, users and tasks of erased events were erased."""

    def __init__(self, erased: Sequence[Event]) -> None:
        users = {event.owner_id for event in erased if event.owner_id}
        users |= {event.subject_id for event in erased if event.subject_type == "user"}
        tasks = {event.topic_id for event in erased if event.topic_id}
        self._until = {
            **_last_of("user", USER_ERASED, users),
            **_last_of("task", TASK_ERASED, tasks),
        }

    def explain(self, event: Event) -> bool:
        about = [("user", event.owner_id), ("task", event.topic_id)]
        if event.subject_type == "user":
            about.append(("user", event.subject_id))
        return any(self._until.get(thing, -1) > (event.position or 0) for thing in about if thing[1])


def _last_of(kind: str, types: Sequence[str], ids: set[UUID]) -> dict[tuple[str, UUID | None], int]:
    if not ids:
        return {}
    # One that is not linked yet comes after all that are.
    position = sa.func.max(sa.func.coalesce(Event.position, sa.literal(NEVER, sa.BigInteger())))
    erasing = (Event.subject_type == kind, Event.subject_id.in_(ids), Event.type.in_(types))
    rows = session().execute(sa.select(Event.subject_id, position).where(*erasing).group_by(Event.subject_id))
    return {(kind, subject_id): last for subject_id, last in rows}


def _batches(first: int, last: int) -> Iterator[Sequence[Event]]:
    after = first - 1
    while after < last:
        following = sa.select(Event).where(Event.position > after, Event.position <= last)
        events = session().scalars(following.order_by(Event.position).limit(BATCH)).all()
        if events:
            yield events
            after = events[-1].position or last
        # Between two batches nothing is held, neither objects nor a snapshot of the database.
        db.session.remove()
        if not events:
            return


def _check_outside(found: Verification, first: int, last: int) -> None:
    """Linked events beside the chain: somebody has changed where it begins or ends."""
    outside = sa.or_(Event.position < first, Event.position > last)
    linked = sa.select(Event.position).where(Event.hash.is_not(None), outside)
    position = session().scalar(linked.order_by(Event.position).limit(1))
    if position is not None and not last < position <= _last_linked():
        found.add("altered", position, "it is linked, but stands outside of what the head says")


def _last_linked() -> int:
    """By now: the chain grows while it is verified."""
    return session().scalar(sa.select(AuditHead.position)) or 0


def _count(which: sa.ColumnElement[bool]) -> int:
    return session().scalar(sa.select(sa.func.count()).select_from(Event).where(which)) or 0


def _check_end(found: Verification, walk: _Walk, last: int, expected: bytes) -> None:
    if walk.position < last:
        found.add("end_removed", walk.position + 1, "the head says that there was more", until=last)
    elif last and walk.found.checked and walk.hash != expected:
        found.add("altered", last, "its hash is not the one of the head")
    if walk.found.checked:
        found.head = f"{walk.position}:{walk.hash.hex()}"


def _check_known_head(found: Verification, position: int, text: str) -> None:
    known: Any = session().scalar(sa.select(Event.hash).where(Event.position == position))
    if known is None:
        found.add("missing", position, "the head that was written down is gone")
    elif known.hex() != text:
        found.add("rewritten", position, "its hash is not the one that was written down")
