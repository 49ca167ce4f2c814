"""Clients of live connections: over a socket pair, whose other end the view hands over."""

import json
import socket
import time
from typing import TYPE_CHECKING, Any, cast

from flask import Flask
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side
from werkzeug.test import Client

from taskapi.core.handover import POSSIBLE, Take, taker_of
from taskapi.events.live.process import Live
from taskapi.events.service import relay_events
from tests.people import Person

if TYPE_CHECKING:
    from tests.people import Answer

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}
PATIENCE_SECONDS = 5.0


def ask(app: Flask, path: str, headers: dict[str, str] | None = None, **options: Any) -> "Answer":
    """A request to a web server that can give its connection away; the answer knows who ``took`` it."""
    seen: list[dict[str, Any]] = []

    def server(environ: dict[str, Any], start_response: Any) -> Any:
        seen.append(environ)
        environ[POSSIBLE] = True
        return app(environ, start_response)

    answer = Client(server).get(path, headers=headers, **options)
    answer.took = taker_of(seen[0])  # type: ignore[attr-defined]
    return cast("Answer", answer)


def take_of(answer: "Answer") -> Take:
    """Who takes the connection of the request."""
    assert answer.status_code in (101, 200), answer.text
    return cast(Take, answer.took)  # type: ignore[attr-defined]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Pipe:
    """A client's end of a connection."""

    def __init__(self, take: Take, early: bytes = b"") -> None:
        self.sock, server = socket.socketpair()
        self.sock.settimeout(PATIENCE_SECONDS)
        server.setblocking(False)
        take(server, b"", early)

    def close(self) -> None:
        self.sock.close()

    def __del__(self) -> None:
        self.sock.close()


class WebSocketClient(Pipe):
    """Speaks RFC 6455 by the library's own other side."""

    def __init__(self, take: Take, early: bytes = b"") -> None:
        self.protocol = Protocol(Side.CLIENT)
        self.frames: list[Frame] = []
        super().__init__(take, early)

    def send(self, content: Any) -> None:
        """Send text, or something as JSON."""
        text = content if isinstance(content, str) else json.dumps(content)
        self.protocol.send_text(text.encode())
        self.flush()

    def send_frame(self, *frames: Frame) -> None:
        self.sock.sendall(b"".join(frame.serialize(mask=True) for frame in frames))

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.sock.sendall(data)

    def frame(self) -> Frame:
        """The next frame that is no ping; pings are answered."""
        while True:
            while not self.frames:
                data = self.sock.recv(65536)
                assert data, "the connection broke"
                self.protocol.receive_data(data)
                self.frames += [one for one in self.protocol.events_received() if isinstance(one, Frame)]
                self.flush()
            frame = self.frames.pop(0)
            if frame.opcode is not Opcode.PING:
                return frame

    def message(self) -> Any:
        """The next message."""
        frame = self.frame()
        assert frame.opcode is Opcode.TEXT, frame
        return json.loads(bytes(frame.data))

    def told(self, number: int) -> list[tuple[str, Any]]:
        """Type and data of the next messages."""
        messages = [self.message() for _ in range(number)]
        return [(message["type"], message["data"]) for message in messages]

    def end(self) -> tuple[int, str]:
        """The code and the reason that end it, after whatever messages."""
        while True:
            frame = self.frame()
            if frame.opcode is Opcode.CLOSE:
                return int.from_bytes(frame.data[:2], "big"), bytes(frame.data[2:]).decode()

    def is_silent(self) -> bool:
        """Whether nothing was sent before the answer to a question."""
        self.send({"type": "ping"})
        return bool(self.message()["type"] == "pong")

    def breaks(self) -> None:
        """Wait until the other side has gone without a word."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass


class EventSource(Pipe):
    """Reads an event stream as the standard says (HTML, 9.2.6)."""

    def __init__(self, take: Take) -> None:
        super().__init__(take)
        self.file = self.sock.makefile("rb")
        self.retry: list[int] = []
        self.last_event_id = ""

    def message(self) -> Any:
        """The next message; None if the stream has ended."""
        data = b""
        for line in self.file:
            name, _, value = line.rstrip(b"\n").partition(b": ")
            if name == b"data":
                data += value
            elif name == b"id":
                self.last_event_id = value.decode()
            elif name == b"retry":
                self.retry.append(int(value))
            elif name == b"" and not value and data:
                return json.loads(data)
        return None

    def close(self) -> None:
        self.file.close()
        super().close()


class Listening:
    """Opens connections to one application; all are closed in the end."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.live = Live(app)
        app.extensions["taskapi_live"] = self.live
        self._pipes: list[Pipe] = []

    def websocket(
        self, person: Person | None = None, *, token: str = "", early: bytes = b"", **query: str
    ) -> WebSocketClient:
        """As a person, or with any token; without either, the first message is to tell."""
        token = token or (person.access_token if person else "")
        path = f"/ws/{token}" if token else "/ws"
        answer = ask(self.app, path, UPGRADE, query_string=query)
        client = WebSocketClient(take_of(answer), early)
        self._pipes.append(client)
        return client

    def stream(self, person: Person, last_event_id: str = "", **query: str) -> EventSource:
        headers = {**bearer(person.access_token), "Last-Event-ID": last_event_id}
        source = EventSource(take_of(ask(self.app, "/api/events", headers, query_string=query)))
        self._pipes.append(source)
        return source

    def relay(self) -> None:
        """Let what has happened be told."""
        with self.app.app_context():
            relay_events()

    def wait_for_connections(self, number: int) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while len(self.live.connections) != number:
            assert time.monotonic() < end, f"{len(self.live.connections)} connections"
            time.sleep(0.005)

    def stop(self) -> None:
        self.live.stop()
        del self.app.extensions["taskapi_live"]
        for pipe in self._pipes:
            pipe.close()
