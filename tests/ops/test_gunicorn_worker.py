"""How a web process comes and goes"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from taskapi.ops import gunicorn_worker
from taskapi.ops.gunicorn_reading import ImpatientUnreader
from taskapi.ops.gunicorn_worker import Worker
from tests.ops.conftest import REPOSITORY

FORKED = """
import os, signal, sys, time
from taskapi.ops.gunicorn_worker import hear_signals, keep_signals_over_forks

keep_signals_over_forks()
signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
pid = os.fork()
if pid == 0:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(42))
    hear_signals()
    os._exit(2)
assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_worker_that_is_told_to_end_before_it_listens_hears_it_when_it_does() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "SECRET_KEY": "x" * 40, "DATA_DIR": "/nowhere"},
        timeout=30,
        check=False,
    )
    assert done.returncode == 42


def worker_with(connections: int) -> Worker:
    made: Any = Worker.__new__(Worker)
    made.nr_conns, made.worker_connections = connections, 10
    made.alive, made.cfg = True, SimpleNamespace(threads=2, workers=2)
    made._counting, made._busy = threading.Lock(), 0
    made.tpool = SimpleNamespace(_work_queue=SimpleQueue())
    return made  # type: ignore[no-any-return]


@pytest.fixture
def worker() -> Worker:
    """A worker that serves nobody, but accepts."""
    return worker_with(0)


def test_who_waits_at_the_door_is_let_in_and_then_it_is_shut(worker: Worker) -> None:
    let_in: list[socket.socket] = []

    def accept(listener: socket.socket) -> None:
        let_in.append(listener.accept()[0])
        worker.nr_conns += 1

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        worker.sockets, worker.accept = [listener], accept  # type: ignore[method-assign]
        waiting = [socket.create_connection(address) for _ in range(12)]
        worker._close_door()
        assert len(let_in) == worker.worker_connections
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
    for connection in [*waiting, *let_in]:
        connection.close()


@pytest.fixture
def takers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many connections the workers had that took the next one by gunicorn's own code."""
    took: list[int] = []

    def accept(worker: Any, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            listener.accept()[0].close()
            took.append(worker.nr_conns)

    monkeypatch.setattr(ThreadWorker, "accept", accept)
    monkeypatch.setattr(gunicorn_worker, "COURTESY_SECONDS", 0.05)
    return took


@pytest.mark.parametrize("busier_first", [True, False])
def test_of_two_processes_the_one_with_fewer_connections_takes_the_next(
    takers: list[int], busier_first: bool
) -> None:
    workers = sorted([worker_with(5), worker_with(2)], key=lambda one: one.nr_conns, reverse=busier_first)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        with socket.create_connection(listener.getsockname()):
            threads = [threading.Thread(target=one.accept, args=[listener]) for one in workers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert takers == [2]


def test_a_process_that_is_alone_takes_connections_at_once(
    takers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = worker_with(5)
    alone.cfg.workers = 1
    monkeypatch.setattr("time.sleep", pytest.fail)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        with socket.create_connection(listener.getsockname()):
            alone.accept(listener)
    assert takers == [5]


class Client:
    """A client, and its connection as gunicorn sees it."""

    def __init__(self) -> None:
        self.socket, server = socket.socketpair()
        self.connection = SimpleNamespace(
            sock=server, parser=SimpleNamespace(unreader=ImpatientUnreader(server))
        )

    def ask(self) -> None:
        self.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client()
    yield made
    made.socket.close()
    made.connection.sock.close()


@pytest.fixture
def answered(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the client asked, and was answered by gunicorn's own code: at once it asks again, thrice."""
    asked: list[bytes] = []

    def handle(_worker: ThreadWorker, connection: Any) -> bool:
        asked.append(connection.sock.recv(100))
        if len(asked) < 4:
            client.ask()
        return True

    monkeypatch.setattr(ThreadWorker, "handle", handle)
    client.ask()
    return asked


def test_a_thread_stays_with_a_client_that_asks_again_at_once(
    worker: Worker, client: Client, answered: list[bytes]
) -> None:
    assert worker.handle(client.connection) is True
    assert len(answered) == 4
    # Now the loop of the process waits for the client.
    assert worker._busy == 0


@pytest.mark.parametrize(
    ("busy", "waiting", "alive"),
    [(1, 0, True), (0, 1, True), (0, 0, False)],
    ids=["it is the last one free", "something waits", "the process is to end"],
)
def test_a_thread_leaves_its_client_when(
    worker: Worker, client: Client, answered: list[bytes], busy: int, waiting: int, alive: bool
) -> None:
    worker._busy, worker.alive = busy, alive
    for number in range(waiting):
        worker.tpool._work_queue.put(number)
    assert worker.handle(client.connection) is True
    assert len(answered) == 1


def test_requests_in_progress_have_longer_where_nobody_kills_after_four_seconds() -> None:
    read = "from taskapi.ops.gunicorn_settings import graceful_timeout; print(graceful_timeout)"
    found = [
        subprocess.run(
            [sys.executable, "-c", read],
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"], "SECRET_KEY": "x" * 40, **marker},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout.strip()
        for marker in ({}, {"TASKAPI_UP_ID": "1"})
    ]
    assert found == ["20", "3"]
