"""/ws and /ws/{token}: what happens reaches whom it concerns, and nobody else."""

import time as clock
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from websockets.frames import Frame, Opcode

from taskapi.accounts.tokens import new_access_token
from taskapi.core.db import transaction
from taskapi.core.json import load_strict
from taskapi.core.refusals import Refusals, refusals_of_process
from taskapi.events.live import websocket
from tests.core.conftest import Log
from tests.events.live.listening import UPGRADE, Listening, WebSocketClient, ask, bearer, take_of
from tests.people import Person
from tests.settings import settings_changed
from tests.tasks.making import make_task, path_of


def test_a_message_tells_what_happened_in_the_words_of_the_api(listening: Listening, owner: Person) -> None:
    client = listening.websocket(owner)
    task = make_task(owner, title="Tea")
    listening.relay()
    message = client.message()
    assert message.keys() == {"id", "type", "data", "at"}
    assert message["type"] == "task.created"
    assert message["data"] == owner.get("/api/tasks").json["items"][0]
    assert message["at"].endswith("Z")
    owner.delete(path_of(task))
    listening.relay()
    assert client.message()["type"] == "task.deleted"


def test_each_is_told_what_they_may_see(
    listening: Listening, owner: Person, teammate: Person, stranger: Person, admin: Person
) -> None:
    clients = {person.email: listening.websocket(person) for person in (owner, teammate, stranger, admin)}
    task = make_task(owner, title="Tea")
    owner.patch(path_of(task), {"assignee_id": str(teammate.id)})
    owner.patch(path_of(task), {"assignee_id": None})
    owner.patch(path_of(task), {"title": "Green tea"})
    listening.relay()
    changes = ["task.created", "task.updated", "task.updated", "task.updated"]
    assert [kind for kind, _ in clients[owner.email].told(4)] == changes
    assert [kind for kind, _ in clients[admin.email].told(4)] == changes
    assert clients[stranger.email].is_silent()
    # Of the time in which it was theirs they learn that it no longer is.
    assert clients[teammate.email].told(1) == [("task.removed", {"id": task["id"]})]
    assert clients[teammate.email].is_silent()


@pytest.mark.one_database
def test_where_all_see_all_tasks_all_are_told_of_them(
    listening: Listening, owner: Person, stranger: Person
) -> None:
    with settings_changed(listening.app, team_sees_tasks=True):
        client = listening.websocket(stranger)
        make_task(owner, title="Tea")
        listening.relay()
        assert [kind for kind, _ in client.told(1)] == ["task.created"]


def test_of_one_reader_all_connections_are_told(listening: Listening, owner: Person) -> None:
    clients = [listening.websocket(owner) for _ in range(3)]
    make_task(owner)
    listening.relay()
    messages = [client.message() for client in clients]
    assert messages[0] == messages[1] == messages[2]


def by_header(listening: Listening, person: Person) -> WebSocketClient:
    headers = {**UPGRADE, **bearer(person.access_token)}
    return WebSocketClient(take_of(ask(listening.app, "/ws", headers)))


def by_message(listening: Listening, person: Person) -> WebSocketClient:
    client = listening.websocket()
    client.send({"type": "auth", "token": person.access_token})
    return client


def by_bare_token(listening: Listening, person: Person) -> WebSocketClient:
    client = listening.websocket()
    client.send(person.access_token)
    return client


def by_early_message(listening: Listening, person: Person) -> WebSocketClient:
    """In pieces, and sent before the answer came."""
    token = person.access_token.encode()
    frames = [Frame(Opcode.TEXT, token[:10], fin=False), Frame(Opcode.CONT, token[10:])]
    return listening.websocket(early=b"".join(frame.serialize(mask=True) for frame in frames))


def by_json_without_type(listening: Listening, person: Person) -> WebSocketClient:
    client = listening.websocket()
    client.send({"token": person.access_token})
    return client


@pytest.mark.one_database
@pytest.mark.parametrize(
    "connect", [by_header, by_message, by_bare_token, by_json_without_type, by_early_message]
)
def test_the_token_comes_in_the_header_or_in_the_first_message(
    listening: Listening, owner: Person, connect: object
) -> None:
    assert callable(connect)
    client: WebSocketClient = connect(listening, owner)
    end = clock.monotonic() + 5
    while not listening.live.hub.is_wanted.is_set():
        assert clock.monotonic() < end
        clock.sleep(0.005)
    make_task(owner)
    listening.relay()
    assert client.message()["type"] == "task.created"
    client.close()


@pytest.mark.one_database
def test_what_is_too_long_for_a_token_is_not_read(
    listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read it takes time in which nobody else is told anything."""
    read: list[int] = []

    def load(message: bytes) -> object:
        read.append(len(message))
        return load_strict(message)

    monkeypatch.setattr(websocket, "load_strict", load)
    long = {"token": owner.access_token, "room": "x" * websocket.MAX_READ_BYTES}
    client = listening.websocket()
    client.send(long)
    assert client.end()[0] == 4401
    client = listening.websocket(owner)
    client.send({"type": "ping", **long})
    client.send({"type": "ping"})
    assert client.message() == {"type": "pong"}
    assert max(read) <= websocket.MAX_READ_BYTES


@pytest.mark.one_database
def test_what_happens_before_the_first_message_is_told_too(listening: Listening, owner: Person) -> None:
    client = listening.websocket()
    make_task(owner, title="Tea")
    listening.relay()
    client.send(owner.access_token)
    assert client.message()["data"]["title"] == "Tea"


@pytest.mark.one_database
def test_a_bad_token_is_let_in_and_told_by_the_code(listening: Listening, owner: Person) -> None:
    assert listening.websocket(token="nonsense").end() == (4401, "invalid_token")
    client = listening.websocket()
    client.send({"type": "auth", "token": "nonsense"})
    assert client.end() == (4401, "invalid_token")
    client = listening.websocket()
    client.send({"type": "auth", "token": 5})
    assert client.end()[0] == 4401
    headers = {**UPGRADE, "Authorization": "Basic bm8="}
    client = WebSocketClient(take_of(ask(listening.app, "/ws", headers)))
    assert client.end() == (4401, "unauthorized")
    client.close()
    with listening.app.app_context(), transaction():
        assert owner.actor.session_id is not None
        ids = {"user_id": owner.id, "session_id": owner.actor.session_id}
        expired = new_access_token(**ids, lifetime=timedelta(seconds=-1))
    assert listening.websocket(token=expired).end() == (4401, "token_expired")
    owner.post("/api/auth/logout")
    assert listening.websocket(owner).end() == (4401, "token_revoked")


@pytest.mark.one_database
def test_the_log_tells_of_a_bad_token_in_the_first_message(
    listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(listening.app.extensions, "taskapi_refusals", Refusals())
    client = listening.websocket()
    client.send({"type": "auth", "token": "nonsense"})
    client.end()
    with listening.app.app_context():
        (refusal,) = refusals_of_process().take()
    assert refusal.told == {"method": "GET", "route": "/ws", "status": 101, "code": "invalid_token"}
    assert (refusal.type, refusal.context) == ("access.refused", {"via": "api"})
    assert refusal.request_id


@pytest.mark.one_database
def test_who_shows_no_token_in_time_is_sent_away(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert websocket.TOKEN_SECONDS == 10
    monkeypatch.setattr(websocket, "TOKEN_SECONDS", 0.05)
    assert listening.websocket().end() == (1008, "no_token")


@pytest.mark.one_database
def test_a_token_that_may_not_read_is_told_nothing(listening: Listening, owner: Person) -> None:
    token = owner.post("/api/auth/tokens", {"name": "writer", "scopes": ["write"]}).json["token"]
    assert listening.websocket(token=token).end() == (4403, "missing_scope")
    client = listening.websocket()
    client.send(token)
    assert client.end() == (4403, "missing_scope")


@pytest.mark.one_database
def test_a_client_may_ask_whether_anybody_is_there(listening: Listening, owner: Person) -> None:
    client = listening.websocket(owner)
    client.send({"type": "ping"})
    assert client.message()["type"] == "pong"
    client.send_frame(Frame(Opcode.PING, b"there?"))
    frame = client.frame()
    assert (frame.opcode, bytes(frame.data)) == (Opcode.PONG, b"there?")
    # What means nothing does no harm.
    client.send("[1, 2")
    client.send({"type": "dance"})
    assert client.is_silent()


@pytest.mark.one_database
def test_who_does_not_answer_pings_is_dropped(
    listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.05)
    monkeypatch.setattr(websocket, "PONG_SECONDS", 0.3)
    alive, dead = listening.websocket(owner), listening.websocket(owner)
    with ThreadPoolExecutor(1) as threads:
        answering = threads.submit(alive.message)
        dead.breaks()
        make_task(owner)
        listening.relay()
        assert answering.result()["type"] == "task.created"


BAD_FRAMES = {
    "too large": (Frame(Opcode.TEXT, b"x" * 65_537), 1009),
    "binary": (Frame(Opcode.BINARY, b"\x00"), 1003),
    "no UTF-8": (Frame(Opcode.TEXT, b"\xff"), 1007),
    "nothing to go on with": (Frame(Opcode.CONT, b"x"), 1002),
}


@pytest.mark.one_database
@pytest.mark.parametrize("case", BAD_FRAMES)
def test_who_breaks_the_rules_is_told_and_sent_away(listening: Listening, owner: Person, case: str) -> None:
    frame, code = BAD_FRAMES[case]
    client = listening.websocket(owner)
    client.send_frame(frame)
    assert client.end()[0] == code
    client.close()
    listening.wait_for_connections(0)


@pytest.mark.one_database
def test_pieces_of_one_message_may_not_be_larger_together(listening: Listening, owner: Person) -> None:
    client = listening.websocket(owner)
    piece = Frame(Opcode.CONT, b"x" * 30_000, fin=False)
    client.send_frame(Frame(Opcode.TEXT, b"x" * 30_000, fin=False), piece, piece)
    assert client.end()[0] == 1009


@pytest.mark.one_database
def test_a_frame_without_a_mask_breaks_the_rules(listening: Listening, owner: Person) -> None:
    client = listening.websocket(owner)
    client.sock.sendall(Frame(Opcode.TEXT, b"x").serialize(mask=False))
    assert client.end()[0] == 1002


@pytest.mark.one_database
def test_a_packed_message_breaks_the_rules(listening: Listening, owner: Person) -> None:
    client = listening.websocket(owner)
    frame = bytearray(Frame(Opcode.TEXT, b"\x4b\x04\x00").serialize(mask=True))
    # The bit by which a compressed message is told.
    frame[0] |= 0x40
    client.sock.sendall(frame)
    assert client.end()[0] == 1002


@pytest.mark.one_database
def test_who_sends_too_much_is_sent_away(listening: Listening, owner: Person) -> None:
    client = listening.websocket(owner)
    # Two seconds at most may count them.
    client.send_frame(*[Frame(Opcode.PING, b"")] * 401)
    while (frame := client.frame()).opcode is Opcode.PONG:
        pass
    code, reason = int.from_bytes(frame.data[:2], "big"), bytes(frame.data[2:])
    assert (frame.opcode, code, reason) == (Opcode.CLOSE, 1008, b"too_many_messages")


@pytest.mark.one_database
def test_who_says_goodbye_is_answered_and_forgotten(listening: Listening, owner: Person) -> None:
    client = listening.websocket(owner)
    client.protocol.send_close(1000, "bye")
    client.flush()
    assert client.end() == (1000, "bye")
    assert client.sock.recv(10) == b""
    client.close()
    listening.wait_for_connections(0)
    assert not listening.live.hub.is_wanted.is_set()


@pytest.mark.one_database
def test_a_token_never_stands_in_the_log(
    app: Flask, listening: Listening, owner: Person, log_to: Callable[..., Log]
) -> None:
    log = log_to(LOG_LEVEL="DEBUG")
    listening.websocket(owner).is_silent()
    listening.websocket(token="a-token-of-no-known-shape").end()
    by_bare_token(listening, owner).close()
    ask(app, f"/ws/{owner.access_token}", {})
    ask(app, f"/ws/{owner.access_token}/more", UPGRADE)
    assert "/ws/<token>" in log.text
    assert owner.access_token not in log.text
    assert "a-token-of-no-known-shape" not in log.text
