"""GET /api/events: the same messages as an event stream."""

import socket

import pytest
from flask import Flask

from taskapi.events.live import stream
from tests.events.live.listening import Listening, ask, bearer, take_of
from tests.people import Person
from tests.tasks.making import make_task


def test_a_stream_tells_what_a_websocket_tells(listening: Listening, owner: Person, teammate: Person) -> None:
    source, client, other = listening.stream(owner), listening.websocket(owner), listening.stream(teammate)
    make_task(owner, title="Tea", description="two\nlines")
    make_task(teammate, title="Coffee")
    listening.relay()
    message = source.message()
    assert message == client.message()
    assert message["type"] == "task.created"
    assert source.last_event_id == message["id"]
    assert source.retry == [3000]
    assert other.message()["data"]["title"] == "Coffee"


@pytest.mark.one_database
def test_the_answer_says_that_it_is_a_stream_and_is_not_kept(
    app: Flask, listening: Listening, owner: Person
) -> None:
    answer = ask(app, "/api/events", bearer(owner.access_token))
    assert answer.status_code == 200
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["X-Request-ID"]


@pytest.mark.one_database
def test_who_asks_for_the_head_alone_gets_no_stream(app: Flask, owner: Person) -> None:
    answer = owner.call("HEAD", "/api/events")
    assert answer.status_code == 200
    assert answer.mimetype == "text/event-stream"
    assert answer.data == b""


@pytest.mark.one_database
def test_a_quiet_stream_shows_that_it_is_alive(
    listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "COMMENT_SECONDS", 0.02)
    source = listening.stream(owner)
    lines = [source.file.readline() for _ in range(6)]
    assert lines == [b"retry: 3000\n", b"\n", *[b": still here\n", b"\n"] * 2]


@pytest.mark.one_database
def test_what_a_client_sends_into_its_stream_is_ignored(
    app: Flask, listening: Listening, owner: Person
) -> None:
    source = listening.stream(owner)
    source.sock.sendall(b"GET / HTTP/1.1\r\n\r\n" * 1000)
    make_task(owner)
    listening.relay()
    assert source.message()["type"] == "task.created"
    source.close()
    listening.wait_for_connections(0)


@pytest.mark.one_database
def test_a_client_that_has_gone_before_its_answer_is_forgotten(
    app: Flask, listening: Listening, owner: Person
) -> None:
    take = take_of(ask(app, "/api/events", bearer(owner.access_token)))
    client, server = socket.socketpair()
    client.close()
    take(server, b"HTTP/1.1 200 OK\r\n\r\n", b"")
    make_task(owner)
    listening.relay()
    listening.wait_for_connections(0)
