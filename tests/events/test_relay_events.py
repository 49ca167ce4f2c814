"""relay_events: positions in one order, and every subscriber told of every committed event."""

import threading
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

from taskapi.background.connection import redis_client
from taskapi.background.enqueue import WAKE_CHANNEL
from taskapi.core import events, following
from taskapi.core.db import session, transaction
from taskapi.core.events import Event, record_event
from taskapi.core.following import FollowedKind, Readers
from taskapi.events.models import EventReader
from taskapi.events.service import BATCH, relay_events, relay_in_groups
from tests.events.conftest import Subscribe


def record(*names: str) -> None:
    with transaction():
        for name in names:
            record_event(name, subject=("task", uuid4()))


def positions() -> list[int | None]:
    found = session().scalars(sa.select(Event.position).order_by(Event.position)).all()
    session().rollback()
    return list(found)


def test_events_get_positions_without_gaps_in_the_order_of_their_commits(
    context: Flask, on: Subscribe
) -> None:
    for name in ("a", "b", "c"):
        record(name)
        relay_events()
    statement = sa.select(Event.type, Event.position).order_by(Event.position)
    assert session().execute(statement).all() == [("a", 1), ("b", 2), ("c", 3)]


def test_a_subscriber_gets_the_events_that_it_asked_for(on: Subscribe) -> None:
    told: list[str] = []
    on("run.*", lambda event: told.append(event.type))
    record("run.completed", "schedule.created", "run.failed")
    assert relay_events() == 3
    assert told == ["run.completed", "run.failed"]


def test_who_has_nothing_to_do_for_an_event_is_not_called(on: Subscribe) -> None:
    told: list[str] = []
    note: Callable[[Event], None] = lambda event: told.append(event.type)  # noqa: E731
    events.subscribe("picky", "run.*", note, concerns=lambda event: event.type == "run.failed")
    record("run.completed", "run.failed")
    assert relay_events() == 2
    assert told == ["run.failed"]


def test_a_batch_takes_so_many_statements_whatever_its_size(on: Subscribe, statements: list[str]) -> None:
    counts = []
    # The first one begins the audit's chain.
    for number in (1, 2, 20):
        record(*["run.completed"] * number)
        statements.clear()
        assert relay_events() == number
        counts.append(len(statements))
    assert counts[1] == counts[2]


def test_an_event_is_told_once(on: Subscribe) -> None:
    told: list[str] = []
    on("*", lambda event: told.append(event.type))
    record("run.completed")
    assert [relay_events(), relay_events()] == [1, 0]
    assert told == ["run.completed"]


def test_an_event_whose_process_died_after_the_commit_is_told_all_the_same(
    on: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    on("*", lambda event: told.append(event.type))
    with transaction() as active:
        # Written as record_event does, but nobody is woken.
        active.add(Event(type="task.created", subject_type="task", subject_id=uuid4()))
    relay_events()
    assert told == ["task.created"]


def test_nothing_is_told_of_a_transaction_that_rolled_back(on: Subscribe) -> None:
    told: list[str] = []
    on("*", lambda event: told.append(event.type))
    with pytest.raises(ZeroDivisionError):
        _record_and_fail()
    assert relay_events() == 0
    assert told == []


def _record_and_fail() -> None:
    with transaction():
        record_event("task.created", subject=("task", uuid4()))
        raise ZeroDivisionError


def test_more_events_than_fit_into_a_batch_are_relayed_at_once(on: Subscribe) -> None:
    batch = max(BATCH.values())
    record(*["task.created"] * (batch + 5))
    assert relay_events() == batch + 5
    assert positions() == list(range(1, batch + 6))


def test_what_comes_while_a_group_is_relayed_is_left_for_the_next(on: Subscribe) -> None:
    """Else a relay to which events come one after the other would not rest between them."""
    told: list[str] = []

    def another_comes(event: Event) -> None:
        told.append(event.type)
        record("run.completed")

    on("run.*", another_comes)
    record("run.completed", "run.completed")
    relay_in_groups()
    assert len(told) == 2
    relay_in_groups()
    assert len(told) == 4


def test_full_groups_follow_each_other_at_once(on: Subscribe) -> None:
    batch = max(BATCH.values())
    record(*["task.created"] * (batch + 5))
    relay_in_groups()
    assert positions() == list(range(1, batch + 6))


def test_what_a_subscriber_records_is_relayed_in_the_same_call(on: Subscribe) -> None:
    on("run.failed", lambda event: record("notification.created"))
    record("run.failed")
    assert relay_events() == 2


def test_a_commit_wakes_the_relay(context: Flask) -> None:
    pubsub: Any = redis_client().pubsub
    with pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(WAKE_CHANNEL)
        listener.get_message(timeout=1)
        record("task.created")
        message = listener.get_message(timeout=1)
    assert message is not None
    assert message["data"] == b"relay"


def test_parallel_commits_and_relays_give_each_event_one_place_and_tell_it_once(
    app: Flask, on: Subscribe
) -> None:
    told: list[object] = []
    on("*", lambda event: told.append(event.id))
    writers = [threading.Thread(target=_write, args=(app, 12)) for _ in range(4)]
    done = threading.Event()
    relays = [threading.Thread(target=_relay_until, args=(app, done)) for _ in range(2)]
    for thread in (*relays, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in relays:
        thread.join()
    relay_events()
    assert positions() == list(range(1, 49))
    in_order = session().scalars(sa.select(Event.id).order_by(Event.position)).all()
    assert told == list(in_order)


def _write(app: Flask, count: int) -> None:
    for _ in range(count):
        with app.app_context():
            record("task.created")


def _relay_until(app: Flask, done: threading.Event) -> None:
    while not done.is_set():
        with app.app_context():
            relay_events()


def test_an_event_of_which_nobody_knows_whom_it_is_for_stops_neither_others_nor_the_relay(
    on: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, told = uuid4(), []

    def find(events: Sequence[Event]) -> dict[UUID, Readers]:
        if any(event.type == "task.poisoned" for event in events):
            raise KeyError("a fault of ours")
        return {event.id: Readers(frozenset({reader})) for event in events}

    monkeypatch.setitem(following._kinds, "task", FollowedKind("task", find, lambda ids: {}))
    on("*", lambda event: told.append(event.type))
    record("task.created", "task.poisoned", "task.updated")
    assert relay_events() == 3
    assert told == ["task.created", "task.poisoned", "task.updated"]
    rows = session().execute(sa.select(EventReader.reader_id, EventReader.position))
    assert sorted(tuple(row) for row in rows) == [(reader, 1), (reader, 3)]


@pytest.mark.one_database
def test_while_the_database_does_not_answer_events_wait_for_their_readers(
    on: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(events: Sequence[Event]) -> dict[UUID, Readers]:
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setitem(following._kinds, "task", FollowedKind("task", find, lambda ids: {}))
    record("task.created")
    with pytest.raises(OperationalError):
        relay_events()
    assert positions() == [None]
