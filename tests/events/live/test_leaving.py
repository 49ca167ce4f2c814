"""A process that ends sends its clients to another one."""

import asyncio
from contextlib import suppress

import pytest

from taskapi.events.live.process import LATEST_RETURN_MS, begin_to_leave, finish_leaving
from tests.events.live.listening import UPGRADE, Listening, WebSocketClient, ask, bearer, take_of
from tests.people import Person

pytestmark = pytest.mark.one_database


def test_clients_are_told_when_to_come_back(listening: Listening, owner: Person) -> None:
    clients, source = [listening.websocket(owner) for _ in range(10)], listening.stream(owner)
    assert all(client.is_silent() for client in clients)
    begin_to_leave(listening.app)
    messages = [client.message() for client in clients]
    assert {message["type"] for message in messages} == {"reconnect"}
    pauses = [message["data"]["after_ms"] for message in messages]
    assert all(0 <= pause <= LATEST_RETURN_MS for pause in pauses)
    # Not all at once.
    assert len(set(pauses)) > 5
    assert {client.end() for client in clients} == {(1012, "reconnect")}
    assert source.message() is None
    assert len(source.retry) == 2
    assert 0 <= source.retry[1] <= LATEST_RETURN_MS
    for client in clients:
        client.close()
    listening.wait_for_connections(0)


def test_who_comes_in_the_last_moment_is_sent_on_too(listening: Listening, owner: Person) -> None:
    take = take_of(ask(listening.app, "/ws", {**UPGRADE, **bearer(owner.access_token)}))
    begin_to_leave(listening.app)
    client = WebSocketClient(take)
    assert client.message()["type"] == "reconnect"
    assert client.end()[0] == 1012
    client.close()


def test_who_does_not_go_is_left_behind(
    listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskapi.events.live.process.LEAVING_SECONDS", 0.05)
    client = listening.websocket(owner)
    assert client.is_silent()
    finish_leaving(listening.app)
    assert not listening.live.connections
    client.breaks()


def test_it_ends_although_something_does_not_hear_at_once_that_it_must(listening: Listening) -> None:
    heard: list[int] = []

    async def hard_of_hearing() -> None:
        for number in range(3):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            heard.append(number)

    listening.live.loop.call_soon_threadsafe(listening.live.begin, hard_of_hearing())
    listening.live.stop()
    assert heard == [0, 1, 2]
