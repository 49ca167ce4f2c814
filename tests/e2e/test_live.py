"""Live events with real processes: several web processes, and faults in each part."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from redis import Redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.e2e.installation import START_SECONDS, ApiUser, Installation, wait_for
from tests.processes import children_of

pytestmark = pytest.mark.e2e
# An installation takes seconds to begin, so each of the two is for all that can be seen of it.
on_sqlite = pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("installation", ["postgresql"], indirect=True)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Connections that end with the test."""
    with ExitStack() as stack:
        yield stack


class Follower:
    """A client that comes back where it was, as `docs/live.md` tells it."""

    def __init__(self, user: ApiUser, opened: ExitStack) -> None:
        self.token = user.token
        self.address = user.url.replace("http", "ws").removesuffix("/api")
        self.opened, self.last = opened, ""
        self.ids: list[str] = []
        self.titles: list[str] = []
        self.ends: list[int] = []
        self.socket: ClientConnection = self._connect()

    def _connect(self) -> ClientConnection:
        query = f"?last_event_id={self.last}" if self.last else ""
        address = f"{self.address}/ws/{self.token}{query}"
        return self.opened.enter_context(connect(address, compression=None, close_timeout=1))

    def next(self, seconds: float = 10) -> Any:
        """The next event; while there is no server, it keeps trying."""
        end = time.monotonic() + seconds
        while True:
            try:
                message = self._receive(end - time.monotonic())
            except (ConnectionClosed, OSError) as error:
                self.ends += [error.rcvd.code] if isinstance(error, ConnectionClosed) and error.rcvd else []
                self._come_back(end)
                continue
            if "id" in message:
                self.last = message["id"]
                self.ids.append(self.last)
                self.titles.append(message["data"].get("title", ""))
                return message

    def _receive(self, seconds: float) -> Any:
        return json.loads(self.socket.recv(timeout=max(seconds, 0.01)))

    def _come_back(self, end: float) -> None:
        while True:
            try:
                self.socket = self._connect()
                return
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)

    def wait_for_titles(self, titles: list[str], seconds: float = 20) -> None:
        while len(self.titles) < len(titles):
            self.next(seconds)
        assert self.titles == titles
        assert len(set(self.ids)) == len(self.ids)


def start(installation: Installation, *names: str, **settings: str) -> ApiUser:
    installation.environment |= settings
    for name in names:
        installation.start(name)
    wait_for(lambda: is_up(installation), seconds=START_SECONDS, what="health")
    return ApiUser(installation.url, "olivia@example.org")


def is_up(installation: Installation) -> bool:
    try:
        return requests.get(f"{installation.url}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


def make(user: ApiUser, *titles: str) -> None:
    for title in titles:
        user.post("/tasks", {"title": title})


@on_postgresql
def test_events_reach_all_web_processes_and_survive_the_end_of_each_part(
    installation: Installation, opened: ExitStack
) -> None:
    user = start(installation, "web", "scheduler-1", WEB_CONCURRENCY="3")
    followers = [Follower(user, opened) for _ in range(12)]
    make(user, "1", "2")
    for follower in followers:
        follower.wait_for_titles(["1", "2"])
    kill_a_web_worker(installation)
    user.session.close()
    make(user, "3")
    for follower in followers:
        follower.wait_for_titles(["1", "2", "3"])
    installation.kill("scheduler-1")
    make(user, "4", "5")
    installation.start("scheduler-1")
    for follower in followers:
        follower.wait_for_titles(["1", "2", "3", "4", "5"], seconds=30)
    end_redis(installation)
    for number in (6, 7):
        make(user, str(number))
        begun = time.monotonic()
        for follower in followers:
            follower.wait_for_titles([str(one) for one in range(1, number + 1)])
        assert time.monotonic() - begun < 6
    assert [follower.ends for follower in followers] == [[]] * 12
    assert "Traceback" not in installation.log_text()
    assert user.token not in installation.log_text()


def kill_a_web_worker(installation: Installation) -> None:
    """kill -9 of one of gunicorn's processes, which gunicorn replaces."""
    arbiter = installation.processes["web"].pid
    os.kill(children_of(arbiter)[0], signal.SIGKILL)


def end_redis(installation: Installation) -> None:
    with Redis.from_url(installation.environment["REDIS_URL"]) as redis:
        redis.shutdown(nosave=True)


@on_sqlite
def test_open_connections_take_nothing_from_requests_and_a_new_release_sends_them_on(
    installation: Installation, opened: ExitStack
) -> None:
    user = start(installation, "web", "scheduler-1", WEB_CONCURRENCY="2")
    refusals_come_as_answers_and_the_connection_goes_on(installation, opened)
    open_connections_keep_no_thread_and_none_of_gunicorns_places(installation, user, opened)
    clients_are_sent_to_the_new_processes(installation, user, opened)
    assert "Traceback" not in installation.log_text()


UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def ask(installation: Installation, head: bytes, opened: ExitStack) -> socket.socket:
    """Send a request; its answer is read by the test."""
    connection = opened.enter_context(socket.create_connection(("127.0.0.1", installation.port), timeout=15))
    connection.sendall(head)
    return connection


def head_of(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(1)
        assert part, data
        data += part
    return data


def refusals_come_as_answers_and_the_connection_goes_on(
    installation: Installation, opened: ExitStack
) -> None:
    foreign = b"GET /ws/x HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n" + UPGRADE + b"\r\n"
    connection = ask(installation, foreign, opened)
    assert head_of(connection).startswith(b"HTTP/1.1 403 ")
    assert b"foreign_origin" in read_until(connection, b"}")
    connection.sendall(b"GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert head_of(connection).startswith(b"HTTP/1.1 426 ")
    assert b"upgrade_required" in read_until(connection, b"}")
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert head_of(connection).startswith(b"HTTP/1.1 200 ")


def open_connections_keep_no_thread_and_none_of_gunicorns_places(
    installation: Installation, user: ApiUser, opened: ExitStack
) -> None:
    host, bearer = b"Host: localhost\r\n", f"Authorization: Bearer {user.token}\r\n".encode()
    # More than both processes have threads.
    for _ in range(20):
        stream = ask(installation, b"GET /api/events HTTP/1.1\r\n" + host + bearer + b"\r\n", opened)
        assert head_of(stream).startswith(b"HTTP/1.1 200 ")
        upgrade = ask(installation, b"GET /ws HTTP/1.1\r\n" + host + bearer + UPGRADE + b"\r\n", opened)
        assert head_of(upgrade).startswith(b"HTTP/1.1 101 ")
    before = time.monotonic()
    make(user, "before")
    assert time.monotonic() - before < 5
    old = ask(installation, b"GET /api/events HTTP/1.0\r\n" + bearer + b"\r\n", opened)
    head = head_of(old)
    assert b"\r\nConnection: close\r\n" in head
    assert b"chunked" not in head
    make(user, "after")
    assert read_until(old, b'"title":"after"').startswith(b"retry: 3000\n\nid: ")
    assert read_until(stream, b'"title":"after"')
    assert read_until(upgrade, b'"title":"after"')


def clients_are_sent_to_the_new_processes(
    installation: Installation, user: ApiUser, opened: ExitStack
) -> None:
    followers = [Follower(user, opened) for _ in range(4)]
    make(user, "1")
    for follower in followers:
        follower.wait_for_titles(["1"])
    os.kill(installation.processes["web"].pid, signal.SIGHUP)
    for number in range(2, 8):
        make(user, str(number))
        time.sleep(0.1)
    for follower in followers:
        follower.wait_for_titles([str(one) for one in range(1, 8)])
        assert follower.ends == [1012]
    process = installation.processes.pop("web")
    process.terminate()
    assert process.wait(timeout=10) == 0
    for follower in followers:
        with pytest.raises(ConnectionClosed) as ended:
            list(follower.socket)
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1012


def read_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        part = connection.recv(4096)
        assert part, data
        data += part
    return data
