"""Who comes back is told what they have missed, once, and then what happens."""

import time as clock
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.events import messages
from taskapi.events.live import process
from taskapi.events.models import ForgottenEvents
from tests.events.following import changes, now
from tests.events.live.listening import Listening, WebSocketClient
from tests.people import Person
from tests.tasks.making import make_task, path_of


def titles(messages: list[tuple[str, dict[str, str]]]) -> list[str]:
    return [data["title"] for _, data in messages]


def test_what_was_missed_comes_first_and_once(listening: Listening, owner: Person, teammate: Person) -> None:
    client = listening.websocket(owner)
    make_task(owner, title="1")
    listening.relay()
    last = client.message()["id"]
    client.close()
    for number in range(2, 6):
        make_task(owner, title=str(number))
        make_task(teammate, title="none of theirs")
    listening.relay()
    socket, source = listening.websocket(owner, last_event_id=last), listening.stream(owner, last)
    assert titles(socket.told(4)) == ["2", "3", "4", "5"]
    assert [source.message()["data"]["title"] for _ in range(4)] == ["2", "3", "4", "5"]
    make_task(owner, title="6")
    listening.relay()
    assert titles(socket.told(1)) == ["6"]
    assert source.message()["data"]["title"] == "6"


def test_a_token_of_the_changes_feed_does_too(listening: Listening, owner: Person) -> None:
    token = now(owner)
    make_task(owner, title="1")
    listening.relay()
    assert titles(listening.websocket(owner, last_event_id=token).told(1)) == ["1"]
    client = listening.websocket()
    client.send({"type": "auth", "token": owner.access_token, "last_event_id": token})
    assert titles(client.told(1)) == ["1"]
    source = listening.stream(owner, last_event_id=token)
    assert source.message()["data"]["title"] == "1"


@pytest.mark.one_database
def test_a_long_absence_is_read_page_by_page(
    listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskapi.events.live.readers.BATCH", 3)
    token = now(owner)
    made = [str(number) for number in range(11)]
    for title in made:
        make_task(owner, title=title)
    listening.relay()
    assert titles(listening.websocket(owner, last_event_id=token).told(11)) == made


def forget_everything(app: Flask) -> None:
    """As retention does."""
    with app.app_context(), transaction():
        last = session().scalar(sa.select(sa.func.max(Event.position)))
        session().add(ForgottenEvents(id=1, position=last))


def test_who_comes_back_too_late_is_told_to_fetch_everything(listening: Listening, owner: Person) -> None:
    token = now(owner)
    make_task(owner, title="1")
    make_task(owner, title="2")
    listening.relay()
    forget_everything(listening.app)
    client, source = listening.websocket(owner, last_event_id=token), listening.stream(owner, token)
    message = client.message()
    assert message.keys() == {"id", "type", "data", "at"}
    assert (message["type"], message["data"]) == ("resync", {"reason": "changes_expired"})
    assert source.message()["type"] == "resync"
    assert source.last_event_id == message["id"]
    make_task(owner, title="3")
    listening.relay()
    assert titles(client.told(1)) == ["3"]
    # From there one can go on again.
    again = listening.websocket(owner, last_event_id=message["id"])
    assert titles(again.told(1)) == ["3"]


@pytest.mark.one_database
@pytest.mark.parametrize("last", ["nonsense", "019a0000-0000-7000-8000-000000000000", "x" * 32])
def test_a_place_that_nobody_knows_is_told_to_fetch_everything(
    listening: Listening, owner: Person, last: str
) -> None:
    assert listening.websocket(owner, last_event_id=last).message()["type"] == "resync"


@pytest.mark.one_database
def test_where_another_is_one_may_not_go_on(listening: Listening, owner: Person, teammate: Person) -> None:
    make_task(owner)
    token = now(owner)
    make_task(owner)
    listening.relay()
    client = listening.websocket(teammate, last_event_id=token)
    assert client.message()["type"] == "resync"
    assert client.is_silent()


def test_while_much_happens_nothing_is_missed_and_nothing_comes_twice(
    listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many come back at different moments, to any place of the log, while it grows."""
    monkeypatch.setattr("taskapi.events.live.readers.BATCH", 4)
    token = now(owner)
    task = make_task(owner, title="0")

    def happen() -> None:
        for number in range(1, 30):
            owner.patch(path_of(task), {"title": str(number)})
            listening.relay()

    with ThreadPoolExecutor(1) as threads:
        happening = threads.submit(happen)
        clients: list[WebSocketClient] = []
        while not happening.done() and len(clients) < 20:
            clients.append(listening.websocket(owner, last_event_id=token))
            clock.sleep(0.02)
        happening.result()
    assert len(clients) > 3
    told = [[client.message()["id"] for _ in range(30)] for client in clients]
    assert len(set(told[0])) == 30
    assert all(ids == told[0] for ids in told)
    assert all(client.is_silent() for client in clients)


@pytest.mark.one_database
def test_what_redis_did_not_tell_is_found_all_the_same(
    listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr("taskapi.events.service.announce_events", lambda: None)
    client = listening.websocket(owner)
    assert client.is_silent()
    make_task(owner, title="1")
    listening.relay()
    assert titles(client.told(1)) == ["1"]


@pytest.mark.one_database
def test_an_event_that_cannot_be_told_stops_none_that_follow(
    listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = messages.tellings

    def fail(events: list[Event]) -> object:
        if any((event.after or {}).get("title") == "poison" for event in events):
            raise KeyError("a fault of ours")
        return tell(events)

    monkeypatch.setattr(messages, "tellings", fail)
    client, since = listening.websocket(owner), now(owner)
    for title in ("1", "poison", "2"):
        make_task(owner, title=title)
    listening.relay()
    assert titles(client.told(2)) == ["1", "2"]
    late = listening.websocket(owner, last_event_id=since)
    assert titles(late.told(2)) == ["1", "2"]
    page = changes(owner, since=since)
    assert [item["data"]["title"] for item in page["items"]] == ["1", "2"]


@pytest.mark.one_database
def test_of_what_is_gone_by_now_its_words_are_not_told(listening: Listening, owner: Person) -> None:
    task, since = make_task(owner), now(owner)
    comments = f"{path_of(task)}/comments"
    comment = owner.post(comments, {"content": "Said too much."}).json["id"]
    owner.delete(f"{comments}/{comment}")
    listening.relay()
    told = listening.websocket(owner, last_event_id=since).told(2)
    assert told == [("comment.created", {"id": comment}), ("comment.deleted", {"id": comment})]


@pytest.mark.one_database
def test_nobody_hears_anything_before_events_are_relayed_and_then_all_in_order(
    listening: Listening, owner: Person
) -> None:
    client = listening.websocket(owner)
    for title in ("Tea", "Coffee"):
        make_task(owner, title=title)
    assert client.is_silent()
    listening.relay()
    assert [data["title"] for _, data in client.told(2)] == ["Tea", "Coffee"]
