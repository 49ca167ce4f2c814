"""``wait_for_database``: a process may start before its database does."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import OperationalError

from taskapi.core.engine import wait_for_database

Relay = Callable[[float], sa.Engine]


@pytest.fixture
def server_after(postgresql_url: str) -> Iterator[Relay]:
    """Gives the engine of a PostgreSQL server whose port opens after some seconds."""
    url = sa.make_url(postgresql_url)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    engine = sa.create_engine(url.set(host="127.0.0.1", port=listener.getsockname()[1], query={}))
    opening: list[threading.Timer] = []

    def serve() -> None:
        listener.listen()
        _forward(listener.accept()[0], _connect(url))

    def start(seconds: float) -> sa.Engine:
        opening.append(threading.Timer(seconds, serve))
        opening[0].start()
        return engine

    yield start
    engine.dispose()
    for timer in opening:
        timer.join(5)
    listener.close()


def _connect(url: sa.URL) -> socket.socket:
    folder = url.query.get("host")
    if isinstance(folder, str):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{folder}/.s.PGSQL.{url.port or 5432}")
        return connection
    return socket.create_connection((url.host or "localhost", url.port or 5432))


def _forward(client: socket.socket, server: socket.socket) -> None:
    def pump(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    with client, server:
        back = threading.Thread(target=pump, args=(server, client))
        back.start()
        pump(client, server)
        back.join(5)


def test_a_server_that_starts_late_is_waited_for(server_after: Relay) -> None:
    engine = server_after(0.5)
    started = time.monotonic()
    with structlog.testing.capture_logs() as lines:
        wait_for_database(engine, timeout=20)
    assert 0.4 < time.monotonic() - started < 18
    assert {line["event"] for line in lines} == {"database.waiting"}


def test_a_server_that_never_starts_is_given_up_in_time() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        engine = sa.create_engine(f"postgresql+psycopg://x@127.0.0.1:{closed.getsockname()[1]}/x")
        started = time.monotonic()
        with structlog.testing.capture_logs(), pytest.raises(OperationalError):
            wait_for_database(engine, timeout=0.5)
    assert time.monotonic() - started < 10


def test_a_server_that_is_there_is_not_waited_for(postgresql_url: str) -> None:
    engine = sa.create_engine(postgresql_url)
    with structlog.testing.capture_logs() as lines:
        wait_for_database(engine, timeout=0)
    engine.dispose()
    assert lines == []
