"""How a web process comes and goes"""

import os
import socket
import subprocess
import sys
from typing import Any

import pytest

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


@pytest.fixture
def worker() -> Worker:
    """A worker that serves nobody, but accepts."""
    made: Any = Worker.__new__(Worker)
    made.nr_conns, made.worker_connections = 0, 10
    return made  # type: ignore[no-any-return]


def test_who_waits_at_the_door_is_let_in_and_then_it_is_shut(worker: Worker) -> None:
    let_in: list[socket.socket] = []

    def accept(listener: socket.socket) -> None:
        let_in.append(listener.accept()[0])
        worker.nr_conns += 1

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        worker.sockets, worker.accept = [listener], accept
        waiting = [socket.create_connection(address) for _ in range(12)]
        worker._close_door()
        assert len(let_in) == worker.worker_connections
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
    for connection in [*waiting, *let_in]:
        connection.close()


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
