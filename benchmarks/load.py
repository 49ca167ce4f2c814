"""Asks a web server as fast as it answers: ``python -m benchmarks.load`` with a plan on standard input.

One thread looks after all connections, so that asking costs little of the machine (some 20 µs a
request). Connections are kept as long as the server keeps them; closed ones are opened again, and
counted. Every status is checked, and the content of one answer in a hundred.
"""

import json
import random
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.results import quantile

CHECKED_EVERY = 100
READ_BYTES = 262_144
SILENCE_SECONDS = 20.0
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to ask.

    Attributes:
        requests: whole requests, of which each connection takes one at random each time.
        statuses: which answers are right.
        contains: what stands in each right answer's body.
    """

    port: int
    connections: int
    seconds: float
    requests: list[str]
    statuses: list[int] = field(default_factory=lambda: [200])
    contains: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Answers a second, and the milliseconds that half and 99 of 100 took at most."""

    per_second: float
    p50: float
    p99: float
    answers: int
    reconnects: int


def ask(plan: Plan) -> Result:
    """Ask in a process of its own, as the server's would be slowed by ours otherwise."""
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(
        command, input=json.dumps(asdict(plan)), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return Result(**json.loads(done.stdout))


class Connection:
    """One connection: asks, and reads until the answer is whole."""

    __slots__ = ("asked_at", "body_start", "buffer", "closes", "length", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), SILENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.length = -1
        self.body_start = 0
        self.closes = False
        self.asked_at = 0.0

    def ask(self, request: bytes) -> None:
        self.buffer, self.length = b"", -1
        self.asked_at = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> bool:
        """Take what came; whether the answer is whole.

        Raises:
            ConnectionError: the server closed the connection without a word, so it may be asked again.
        """
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise ConnectionError("closed")
        self.buffer = self.buffer + data if self.buffer else data
        if self.length < 0:
            end = self.buffer.find(HEAD_END)
            if end < 0:
                return False
            self._read_head(self.buffer[:end].lower())
            self.body_start = end + len(HEAD_END)
        return len(self.buffer) - self.body_start >= self.length

    def _read_head(self, head: bytes) -> None:
        at = head.find(b"\r\ncontent-length:")
        assert at >= 0, head
        self.length = int(head[at + 17 :].split(b"\r\n", 1)[0])
        self.closes = b"\r\nconnection: close" in head

    @property
    def status(self) -> int:
        return int(self.buffer[9:12])

    @property
    def body(self) -> bytes:
        return self.buffer[self.body_start :]


def run(plan: Plan) -> Result:
    """Ask as planned, in this process."""
    asking = _Asking(plan)
    try:
        return asking.run()
    finally:
        asking.close()


class _Asking:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests = [request.encode() for request in plan.requests]
        self._choose = random.Random(1).choice  # noqa: S311 - nothing secret
        self._contains = plan.contains.encode()
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._times: list[float] = []
        self._reconnects = 0

    def run(self) -> Result:
        begun = time.perf_counter()
        end = begun + self._plan.seconds
        for _ in range(self._plan.connections):
            self._open()
        while (now := time.perf_counter()) < end:
            ready = self._epoll.poll(SILENCE_SECONDS)
            if not ready:
                raise RuntimeError("the server is silent")
            for number, _ in ready:
                self._serve(self._connections[number])
        times = sorted(self._times)
        return Result(
            per_second=len(times) / (now - begun),
            p50=quantile(times, 0.5) * 1000,
            p99=quantile(times, 0.99) * 1000,
            answers=len(times),
            reconnects=self._reconnects,
        )

    def close(self) -> None:
        for connection in self._connections.values():
            connection.socket.close()
        self._epoll.close()

    def _open(self) -> None:
        connection = Connection(self._plan.port)
        self._connections[connection.socket.fileno()] = connection
        self._epoll.register(connection.socket, select.EPOLLIN)
        connection.ask(self._choose(self._requests))

    def _serve(self, connection: Connection) -> None:
        try:
            if not connection.read():
                return
        except ConnectionError:
            # A kept connection may be closed at any time between two requests (RFC 9112, 9.5).
            if connection.buffer:
                raise
            self._reopen(connection)
            return
        self._times.append(time.perf_counter() - connection.asked_at)
        self._check(connection)
        if connection.closes:
            self._reopen(connection)
        else:
            connection.ask(self._choose(self._requests))

    def _check(self, connection: Connection) -> None:
        status = connection.status
        if status not in self._plan.statuses:
            raise RuntimeError(f"answered {status}: {connection.body[:500]!r}")
        if len(self._times) % CHECKED_EVERY == 1 and self._contains not in connection.body:
            raise RuntimeError(f"{self._plan.contains!r} is not in {connection.body[:500]!r}")

    def _reopen(self, connection: Connection) -> None:
        self._reconnects += 1
        self._epoll.unregister(connection.socket)
        del self._connections[connection.socket.fileno()]
        connection.socket.close()
        self._open()


def request(method: str, path: str, token: str, body: object = None, **headers: str) -> str:
    """A whole request of HTTP/1.1."""
    content = "" if body is None else json.dumps(body)
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    if content:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{head}Accept: application/json\r\n\r\n{content}"


def median_of(results: Sequence[Result]) -> Result:
    """The middle one by answers a second."""
    return sorted(results, key=lambda result: result.per_second)[len(results) // 2]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(run(Plan(**json.load(sys.stdin))))))
