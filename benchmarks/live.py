"""What open connections cost: the API's times with and without them, and the memory of each.

Run by itself: `python -m benchmarks.live [connections]`. The API is gunicorn with its own settings and
two processes; whoever asks is another process, on the same machine.
"""

import json
import os
import resource
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import cast

import click
from flask import Flask

from benchmarks.installation import installation
from tests.people import Person, make_person
from tests.processes import children_of

BIN = Path(sys.executable).parent
ONE_BY_ONE, AT_ONCE, REQUESTS = 300, 64, 1500
CROWDS, ROUNDS = 3, 2
# Frames without content; a client masks (RFC 6455, 5.2).
PING, PONG = b"\x89\x00", b"\x8a\x80\x00\x00\x00\x00"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(app: Flask) -> Iterator[tuple[int, int]]:
    """Gunicorn and a scheduler for the installation; the port, and gunicorn's process."""
    settings = app.extensions["taskapi_settings"]
    port = free_port()
    environment = {
        **os.environ,
        "SECRET_KEY": settings.secret_key,
        "DATA_DIR": str(settings.data_dir),
        "REDIS_URL": settings.redis_url,
        "DATABASE_URL": settings.database_url,
        "PORT": str(port),
        "LOG_LEVEL": "ERROR",
        "FLASK_APP": "wsgi.py",
        **{f"RATE_LIMIT_{name}": "off" for name in ("DEFAULT", "AUTH", "ACCOUNT")},
    }
    commands: tuple[list[str | Path], ...] = (
        [BIN / "gunicorn", "-c", "python:taskapi.ops.gunicorn_settings", "wsgi:app"],
        [BIN / "flask", "scheduler"],
    )
    processes = [subprocess.Popen(command, env=environment) for command in commands]
    try:
        _wait_for(port)
        yield port, processes[0].pid
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _wait_for(port: int) -> None:
    while True:
        try:
            _milliseconds(HTTPConnection("127.0.0.1", port), "/health", {})
            return
        except OSError:
            time.sleep(0.2)


def _milliseconds(connection: HTTPConnection, path: str, headers: dict[str, str]) -> float:
    begun = time.perf_counter()
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    return (time.perf_counter() - begun) * 1000


def _ask(port: int, path: str, headers: dict[str, str], number: int) -> list[float]:
    """Requests one after the other, over one connection that is kept."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    times = [_milliseconds(connection, path, headers) for _ in range(number)]
    connection.close()
    return times


def api_times(port: int, person: Person, path: str) -> dict[str, float]:
    """Milliseconds of a cheap request: alone, and with 64 connections that ask all the time."""
    headers = {"Authorization": f"Bearer {person.access_token}"}
    alone = _ask(port, path, headers, ONE_BY_ONE)
    command = [sys.executable, "-m", "benchmarks.live", "ask", str(port), path, person.access_token]
    # How the connections are spread over the processes is chance, so each time it is another crowd.
    crowds = [
        json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(CROWDS)
    ]
    return {
        "p50 alone": statistics.median(alone),
        "p50 of 64": statistics.median(statistics.median(crowd) for crowd in crowds),
        "p99 of 64": statistics.median(statistics.quantiles(crowd, n=100)[98] for crowd in crowds),
    }


def ask_at_once(port: int, path: str, token: str) -> None:
    """What 64 connections see, in one thread, as asking must cost the machine little."""
    question = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    times: list[float] = []
    begun: dict[socket.socket, float] = {}
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        for _ in range(AT_ONCE):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            selector.register(one, selectors.EVENT_READ)
            begun[one] = time.perf_counter()
            one.sendall(question)
        while len(times) < REQUESTS:
            for key, _ in selector.select():
                one = cast(socket.socket, key.fileobj)
                data = one.recv(65_536)
                if not data.rstrip().endswith(b"}"):
                    # The head comes first.
                    assert data.startswith(b"HTTP/1.1 200 "), data
                    continue
                times.append((time.perf_counter() - begun[one]) * 1000)
                begun[one] = time.perf_counter()
                one.sendall(question)
    click.echo(json.dumps(times))


class Crowd:
    """Open event streams; whatever comes is read and counted."""

    def __init__(self, port: int, people: list[Person], number: int) -> None:
        self.received = 0
        self._sockets = [self._open(port, people[index % len(people)]) for index in range(number)]
        self._stopping = False
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    @staticmethod
    def _open(port: int, person: Person) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), 30)
        head = f"GET /ws/{person.access_token} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        connection.sendall(f"{head}{upgrade}dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 101")
        return connection

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for one in self._sockets:
                one.setblocking(False)
                selector.register(one, selectors.EVENT_READ)
            while not self._stopping:
                for key, _ in selector.select(0.1):
                    one = cast(socket.socket, key.fileobj)
                    data = one.recv(262_144)
                    assert data, "the server closed a connection"
                    if PING in data:
                        one.sendall(PONG)
                    self.received += data.count(b'"type":"task.')

    def close(self) -> None:
        self._stopping = True
        self._thread.join()
        for one in self._sockets:
            one.close()


def memory_of(arbiter: int) -> int:
    """Private bytes of the web processes."""
    return sum(map(_private, children_of(arbiter)))


def _private(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


@contextmanager
def happening(person: Person, path: str, per_second: float) -> Iterator[None]:
    """A task changes so often."""
    stopping = threading.Event()

    def change() -> None:
        number = 0
        while not stopping.wait(1 / per_second):
            number += 1
            person.patch(path, {"title": f"Tea {number}"})

    thread = threading.Thread(target=change)
    thread.start()
    yield
    stopping.set()
    thread.join()


def measure(app: Flask, number: int) -> None:
    """Print the figures of docs/benchmarks.md."""
    people = [make_person(app, f"person{index}@example.org") for index in range(20)]
    task = people[0].post("/api/tasks", {"title": "Tea"}).json
    changed, path = f"/api/tasks/{task['id']}", "/api/auth/me"
    with served(app) as (port, arbiter), ExitStack() as stack:
        api_times(port, people[0], path)
        for round_number in range(ROUNDS):
            show(f"round {round_number + 1}, nobody connected", api_times(port, people[0], path))
            before = memory_of(arbiter)
            crowd = Crowd(port, people, number)
            stack.callback(crowd.close)
            time.sleep(3)
            each = (memory_of(arbiter) - before) / number / 1024
            click.echo(f"   memory per connection: {each:.1f} KiB")
            show(f"   {number} connected", api_times(port, people[0], path))
            with happening(people[0], changed, 2):
                show(f"   2 events a second for {number // len(people)}", api_times(port, people[0], path))
            click.echo(f"   {crowd.received} messages received")
            crowd.close()
            time.sleep(3)


def show(words: str, times: dict[str, float]) -> None:
    click.echo(f"{words}: " + ", ".join(f"{name} {value:.1f} ms" for name, value in times.items()))


def main(arguments: list[str]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if arguments[:1] == ["ask"]:
        ask_at_once(int(arguments[1]), arguments[2], arguments[3])
        return
    with installation(*arguments[1:]) as app:
        measure(app, int(arguments[0]) if arguments else 1000)


if __name__ == "__main__":
    main(sys.argv[1:])
