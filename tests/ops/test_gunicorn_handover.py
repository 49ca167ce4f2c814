"""A connection that is handed over: the head goes along, the limits of requests do not."""

import errno
import resource
import socket
import struct
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from taskapi.core.handover import LiveUnavailable, hand_over
from taskapi.ops.gunicorn_handover import allow_many_files, hand_over_on_demand

taken: list[tuple[socket.socket, bytes, bytes]] = []


@pytest.fixture
def application() -> Flask:
    app = Flask(__name__)

    @app.get("/<int:status>")
    def leave(status: int) -> tuple[str, int, dict[str, str]]:
        hand_over(lambda: lambda *what: taken.append(what))
        return "not sent", status, {"X-Request-ID": "one"}

    @app.get("/stay")
    def stay() -> str:
        return "stays"

    return app


@pytest.fixture
def served() -> Iterator[Any]:
    """What gunicorn has of a connection, and the client's end."""
    client, server = socket.socketpair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 7, 0))
    unreader = SimpleNamespace(take_buffered=lambda: b"early")
    found = threading.local()
    found.conn = SimpleNamespace(sock=server, parser=SimpleNamespace(unreader=unreader))
    found.client = client
    yield found
    client.close()
    server.close()
    while taken:
        taken.pop()[0].close()


def answer(application: Flask, served: Any, path: str, scheme: str = "http") -> bytes:
    environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET", "SERVER_NAME": "x", "SERVER_PORT": "80"}
    environ |= {"wsgi.url_scheme": scheme}
    body = hand_over_on_demand(application, served)(environ, lambda *_: None)
    return b"".join(body)


def test_whoever_takes_it_gets_the_socket_the_head_and_what_came_early(
    application: Flask, served: Any
) -> None:
    with pytest.raises(OSError, match="handed over") as left:
        answer(application, served, "/200")
    assert left.value.errno == errno.ENOTCONN
    sock, head, early = taken[0]
    assert early == b"early"
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    assert {"Connection: close", "X-Request-ID: one"} <= set(lines)
    assert not any(line.startswith("Content-Length") for line in lines)
    assert lines[-2:] == ["", ""]
    # Nothing of gunicorn's is left on it, and gunicorn has nothing left of it.
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == struct.pack("ll", 0, 0)
    assert not sock.getblocking()
    assert served.conn.sock.fileno() == -1
    sock.sendall(b"hello")
    assert served.client.recv(10) == b"hello"


def test_an_upgrade_says_so(application: Flask, served: Any) -> None:
    with pytest.raises(OSError, match="handed over"):
        answer(application, served, "/101")
    assert b"\r\nConnection: Upgrade\r\n" in taken[0][1]


def test_other_answers_go_the_usual_way(application: Flask, served: Any) -> None:
    assert answer(application, served, "/stay") == b"stays"
    assert answer(application, served, "/404") == b"not sent"
    assert taken == []
    assert served.conn.sock.fileno() > 0


def test_an_encrypted_connection_cannot_be_given_away(application: Flask, served: Any) -> None:
    application.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(LiveUnavailable):
        answer(application, served, "/200", scheme="https")


def test_a_web_process_may_open_as_many_files_as_the_system_lets_it() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
