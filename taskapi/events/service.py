"""The relay: gives committed events their position and hash, in one order, and tells the subscribers.

It runs after commits, woken by a publish and at least once a second, so an event whose
process died right after its commit is relayed all the same. One relay works at a time.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import OperationalError

from taskapi.background.enqueue import announce_events
from taskapi.core.arrays import as_lists, unfolded, uses_arrays
from taskapi.core.db import database_now, on_commit, read_database_clock, savepoint, session, transaction
from taskapi.core.events import Event, Subscriber, subscribers
from taskapi.core.following import Readers, ages_lists, readers_of
from taskapi.core.freshness import catch_up, touch
from taskapi.core.repeating import has_lost_transaction
from taskapi.events.audit import chain
from taskapi.events.models import EventReader, FailedDelivery
from taskapi.events.webhooks import outbox

log = structlog.get_logger(__name__)

# Small on SQLite, whose only writer is held for as long as a batch takes.
BATCH = {"sqlite": 50, "postgresql": 250}
# Any number will do, as long as nothing else in the database uses it.
RELAY_LOCK = 7_270_001
FIRST_PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 3600
# Whom an event was for, as parameters.
_READER: dict[str, sa.types.TypeEngine[Any]] = {
    "its_reader_id": sa.Uuid(),
    "its_position": sa.BigInteger(),
    "was_formerly": sa.Boolean(),
}
_COLUMNS = ["reader_id", "position", "formerly"]
WEBHOOKS = Subscriber("webhooks", "*", outbox.write_one)


def relay_events() -> int:
    """Relay everything that waits, and what comes of it; how many events there were."""
    total = 0
    while relayed := _relay_once():
        total += relayed
    return total


def relay_in_groups() -> None:
    """Relay what waits, and leave what comes meanwhile for the next time: it is told in groups.

    Where events come one after the other, relaying until none waits would never end, a few at a time.
    """
    while _relay_once() >= _batch():
        pass


def _relay_once() -> int:
    """Relay a batch of events, and of deliveries that failed; how many."""
    catch_up()
    unplaced, failed = _what_waits()
    if not (unplaced or failed):
        return 0
    with transaction():
        if not _is_only_relay():
            return 0
        return (_relay_batch() if unplaced else 0) + (_retry_batch() if failed else 0)


def _what_waits() -> tuple[bool, bool]:
    """Whether there are events without a place, and deliveries to be tried again."""
    unplaced = sa.exists().where(Event.position.is_(None))
    failed = sa.exists().where(FailedDelivery.retry_at <= database_now())
    found = session().execute(sa.select(unplaced, failed)).one()
    session().rollback()
    return found[0], found[1]


def _is_only_relay() -> bool:
    """Whether this transaction may relay: two at once would mix up the order."""
    if session().get_bind().dialect.name == "sqlite":
        return True
    return session().scalar(sa.select(sa.func.pg_try_advisory_xact_lock(RELAY_LOCK))) is True


def _relay_batch() -> int:
    head = chain.open_chain()
    if strays := chain.adopt_strays(head):
        return strays
    waiting = sa.select(Event).where(Event.position.is_(None)).order_by(Event.number, Event.id)
    # Locked: an account that is being closed must not erase what is being hashed.
    events = session().scalars(waiting.limit(_batch()).with_for_update()).all()
    chain.extend(head, events)
    readers = _find_readers(events)
    _note_readers(events, readers)
    _fill_outboxes(events, readers)
    listening = {name: [one for one in subscribers() if one.wants(name)] for name in {e.type for e in events}}
    for event in events:
        for subscriber in listening[event.type]:
            _deliver(event, subscriber)
    return len(events)


def _batch() -> int:
    return BATCH[session().get_bind().dialect.name]


def _find_readers(events: Sequence[Event]) -> dict[UUID, Readers]:
    """Whom the events are for: of all at once, or else one by one."""
    try:
        with savepoint():
            return readers_of(events)
    except Exception as error:
        if isinstance(error, OperationalError) or has_lost_transaction(error):
            # The database is away: that is no fault of an event, and all of them wait.
            raise
        # An event of which nobody knows whom it is for must keep back neither the others nor the relay.
        log.exception("event.readers_unknown", event_ids=[str(event.id) for event in events])
    alone = [[event] for event in events] if len(events) > 1 else []
    return {event_id: readers for one in alone for event_id, readers in _find_readers(one).items()}


def _note_readers(events: Sequence[Event], readers: Mapping[UUID, Readers]) -> None:
    """Write down whom the events are for, wake who tells them, and let nobody be shown what is old."""
    aged = {event.id for event in events if event.id in readers and ages_lists(event)}
    rows = [
        {"reader_id": reader, "position": event.position, "formerly": formerly}
        for event in events
        if event.id in readers
        for formerly, people in ((False, readers[event.id].now), (True, readers[event.id].formerly))
        for reader in people
    ]
    if rows:
        _insert_readers(rows)
        on_commit(announce_events)
    if aged:
        # Who made the change did that as well, unless their process died right after the commit.
        seen_by = [readers[event_id] for event_id in aged]
        touch({reader for one in seen_by for reader in one.now | one.formerly})


def _insert_readers(rows: Sequence[dict[str, Any]]) -> None:
    if not uses_arrays():
        session().execute(sa.insert(EventReader), rows)
        return
    values = as_lists(rows, _COLUMNS)
    session().connection().execute(_inserting_readers(), dict(zip(_READER, values.values(), strict=True)))


@cache
def _inserting_readers() -> sa.Insert:
    rows = sa.select(*unfolded("readers", _READER).c)
    return sa.insert(EventReader.__table__).from_select(_COLUMNS, rows)  # type: ignore[arg-type]


def _fill_outboxes(events: Sequence[Event], readers: Mapping[UUID, Readers]) -> None:
    """Write down what webhooks are to be told: all at once, or else one by one."""
    try:
        with savepoint():
            outbox.write_deliveries(events, readers)
    except Exception as error:
        if has_lost_transaction(error):
            raise
        # An event that cannot be told must keep back neither the others nor the relay.
        log.exception("event.outboxes_failed", events=len(events))
        for event in events:
            _deliver(event, WEBHOOKS)


def _deliver(event: Event, subscriber: Subscriber) -> bool:
    try:
        if subscriber.concerns(event):
            with savepoint():
                subscriber.handle(event)
    except Exception as error:
        if has_lost_transaction(error):
            raise
        # One subscriber that fails for one event must stop neither the others nor the relay.
        log.exception("event.delivery_failed", event_id=str(event.id), subscriber=subscriber.name)
        _remember_failure(event, subscriber, error)
        return False
    return True


def _remember_failure(event: Event, subscriber: Subscriber, error: Exception) -> None:
    statement = sa.select(FailedDelivery).where(
        FailedDelivery.event_id == event.id, FailedDelivery.subscriber == subscriber.name
    )
    failure = session().scalar(statement)
    if failure is None:
        failure = FailedDelivery(event_id=event.id, subscriber=subscriber.name, attempts=0)
    failure.attempts += 1
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(failure.attempts - 1, 20), LONGEST_PAUSE_SECONDS)
    failure.retry_at = read_database_clock() + timedelta(seconds=pause)
    # PostgreSQL stores no NUL and no lone surrogate; failing here would stop the relay for all.
    words = f"{type(error).__name__}: {error}".replace("\x00", "").encode("utf-8", "replace").decode()
    failure.error = words[:2000]
    # Added only now: reading the clock would flush it half filled.
    session().add(failure)
    session().flush()


def _retry_batch() -> int:
    known = {subscriber.name: subscriber for subscriber in (WEBHOOKS, *subscribers())}
    due = sa.select(FailedDelivery, Event).join(Event, Event.id == FailedDelivery.event_id)
    due = due.where(FailedDelivery.retry_at <= read_database_clock()).order_by(FailedDelivery.retry_at)
    rows = session().execute(due.limit(_batch())).all()
    for failure, event in rows:
        subscriber = known.get(failure.subscriber)
        if subscriber is None or _deliver(event, subscriber):
            session().delete(failure)
    session().flush()
    return len(rows)
