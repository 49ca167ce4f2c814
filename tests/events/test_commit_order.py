"""Whoever reads along, however commits and relays overlap, is told of each event once, in one order."""

import threading
from collections.abc import Callable
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from taskapi.core import following
from taskapi.core.access import Actor
from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event, record_event
from taskapi.core.following import Readers, let_follow
from taskapi.core.ids import new_id
from taskapi.events import cursors, feed
from taskapi.events.service import relay_events
from tests.events.conftest import Subscribe

ME = Actor(user_id=new_id(), role="user", username="me")


@pytest.fixture(autouse=True)
def anything(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of a kind that is followed and needs no rows of its own."""
    monkeypatch.setattr(following, "_kinds", {})
    let_follow(
        "thing",
        find_readers=lambda events: {event.id: Readers(frozenset({ME.user_id})) for event in events},
        show=lambda ids: {id_: {"id": str(id_)} for id_ in ids},
    )


def record(event_id: UUID | None = None) -> UUID:
    """An event of a thing; its id."""
    event = record_event("thing.made", subject=("thing", new_id()), owner_id=ME.user_id)
    event.id = event_id or new_id()
    return event.id


def read_along(app: Flask, seen: list[UUID], is_over: Callable[[], bool]) -> None:
    """Read page after page, as a client does, until it is over and nothing more comes."""
    token = None
    while True:
        last = is_over()
        with app.app_context():
            after = cursors.position_of(token, ME) if token else 0
            page = feed.read_feed(actor=ME, after=after, limit=3)
            token = cursors.token_of(page.position, ME)
        seen += [message.id for message in page.messages]
        if last and not page.more:
            return


def in_threads(*works: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()


def relay_until(app: Flask, is_over: Callable[[], bool]) -> None:
    while not is_over():
        with app.app_context():
            relay_events()


@pytest.mark.one_database("postgresql")
def test_a_transaction_that_began_first_and_commits_last_is_not_skipped(app: Flask) -> None:
    """Its ids are the smallest: who sorted by them and remembered the largest would never see it."""
    began, may_commit = threading.Event(), threading.Event()
    slow: list[UUID] = []

    def write_slowly() -> None:
        with app.app_context(), transaction():
            slow.append(record())
            session().flush()
            began.set()
            may_commit.wait(timeout=30)

    threads = in_threads(write_slowly)
    assert began.wait(timeout=30)
    with transaction():
        quick = record()
    relay_events()
    first = feed.read_feed(actor=ME, after=0, limit=10)
    assert [message.id for message in first.messages] == [quick]
    may_commit.set()
    join(threads)
    relay_events()
    second = feed.read_feed(actor=ME, after=first.position, limit=10)
    assert [message.id for message in second.messages] == slow
    assert slow[0] < quick


@pytest.mark.one_database("postgresql")
def test_changes_of_one_thing_keep_their_order_whatever_the_clocks_of_the_machines_say(
    context: Flask,
) -> None:
    ids = [new_id() for _ in range(3)]
    for event_id in reversed(ids):
        with transaction():
            record(event_id)
    relay_events()
    page = feed.read_feed(actor=ME, after=0, limit=10)
    assert [message.id for message in page.messages] == ids[::-1]


def test_parallel_writers_relays_and_a_reader_lose_nothing_and_repeat_nothing(app: Flask) -> None:
    written: list[UUID] = []
    is_written, is_relayed = threading.Event(), threading.Event()

    def write() -> None:
        for _ in range(15):
            with app.app_context():
                with transaction():
                    made = [record() for _ in range(2)]
                written.extend(made)

    seen: list[UUID] = []
    reader = in_threads(lambda: read_along(app, seen, is_relayed.is_set))
    relays = in_threads(*[lambda: relay_until(app, is_written.is_set)] * 2)
    join(in_threads(*[write] * 4))
    is_written.set()
    join(relays)
    relay_events()
    is_relayed.set()
    join(reader)
    assert len(written) == 120
    assert sorted(seen) == sorted(written)
    assert seen == list(session().scalars(sa.select(Event.id).order_by(Event.position)))


def test_a_relay_that_dies_in_the_middle_leaves_no_trace(on: Subscribe) -> None:
    with transaction():
        wanted = [record() for _ in range(5)]
    on("*", once(_die))
    with pytest.raises(KeyboardInterrupt):
        relay_events()
    assert feed.head() == 0
    assert feed.read_feed(actor=ME, after=0, limit=10).messages == []
    relay_events()
    assert [message.id for message in feed.read_feed(actor=ME, after=0, limit=10).messages] == wanted


def once(accident: Callable[[], None]) -> Callable[[Event], None]:
    """A subscriber to whom it happens at the first event that it is told of."""
    accidents = [accident]

    def handle(_event: Event) -> None:
        if accidents:
            accidents.pop()()

    return handle


def _die() -> None:
    raise KeyboardInterrupt


@pytest.mark.one_database("postgresql")
def test_a_relay_whose_connection_is_killed_leaves_the_events_to_the_next(on: Subscribe) -> None:
    with transaction():
        wanted = [record() for _ in range(5)]
    on("*", once(_lose_the_connection))
    with pytest.raises(SQLAlchemyError):
        relay_events()
    db.session.remove()
    relay_events()
    assert [message.id for message in feed.read_feed(actor=ME, after=0, limit=10).messages] == wanted


def _lose_the_connection() -> None:
    own = session().scalar(sa.text("SELECT pg_backend_pid()"))
    with db.engine.connect() as other:
        other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": own})


@pytest.mark.one_database("postgresql")
def test_while_one_relay_is_at_work_another_lets_it(app: Flask, on: Subscribe) -> None:
    with transaction():
        wanted = [record() for _ in range(5)]
    is_at_work, may_go_on = threading.Event(), threading.Event()

    def slowly(_event: Event) -> None:
        is_at_work.set()
        may_go_on.wait(timeout=30)

    on("*", slowly)
    threads = in_threads(lambda: _relay(app))
    assert is_at_work.wait(timeout=30)
    assert relay_events() == 0
    assert feed.head() == 0
    may_go_on.set()
    join(threads)
    assert [message.id for message in feed.read_feed(actor=ME, after=0, limit=10).messages] == wanted


def _relay(app: Flask) -> None:
    with app.app_context():
        relay_events()


def test_a_page_ends_where_it_was_told_to(app: Flask) -> None:
    with transaction():
        wanted = [record() for _ in range(5)]
    relay_events()
    page = feed.read_feed(actor=ME, after=1, limit=10, until=3)
    assert [message.id for message in page.messages] == wanted[1:3]
    assert (page.position, page.more) == (3, False)


def test_events_between_positions_are_those_that_anybody_follows(app: Flask) -> None:
    with transaction():
        first = record()
        record_event("session.ended", subject=("session", new_id()), owner_id=ME.user_id)
        last = record()
    relay_events()
    assert [event.id for event in feed.events_between(0, 10)] == [first, last]
    assert [event.id for event in feed.events_between(1, 1)] == [last]


@pytest.mark.parametrize("sees", [[True, False], [False, True]], ids=["lost", "got"])
@pytest.mark.one_database
def test_who_loses_or_gets_sight_while_a_page_is_made_is_not_told_what_was_read_meanwhile(
    context: Flask, sees: list[bool]
) -> None:
    with transaction():
        record()
    relay_events()
    readers = [Readers(frozenset({ME.user_id} if one else ())) for one in sees]
    let_follow(
        "thing",
        find_readers=lambda events: dict.fromkeys([event.id for event in events], readers.pop(0)),
        show=lambda ids: {id_: {"title": "secret"} for id_ in ids},
    )
    assert feed.read_feed(actor=ME, after=0, limit=10).messages == []
