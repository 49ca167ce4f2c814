"""One leader per ``DATA_DIR`` and a free address: what ``flask up`` makes sure of before it starts."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The undertaker of a killed leader holds the lock until everything that was left has ended.
UNDERTAKER_SECONDS = 5.0


class UpError(RuntimeError):
    """``flask up`` cannot start; the message is one line for the operator."""


@contextmanager
def leader_lock(data_dir: Path, url: str) -> Iterator[int]:
    """Be the only leader of this directory; gives the descriptor that holds the lock."""
    path = data_dir / "up.lock"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UpError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        _acquire(lock, data_dir)
        # The file stays when the lock is given back: removing it would let two leaders
        # lock two files of the same name.
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n{url}\n".encode(), 0)
        yield lock
    finally:
        os.close(lock)


def _acquire(lock: int, data_dir: Path) -> None:
    deadline = time.monotonic() + UNDERTAKER_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 4096, 0).decode(errors="replace").split()
        else:
            return
        # An empty file belongs to an undertaker, or to a leader that is about to write into it.
        if len(holder) == 2:
            raise UpError(f"already running for {data_dir}: process {holder[0]} at {holder[1]}")
        if time.monotonic() > deadline:
            raise UpError(f"the processes of an earlier run in {data_dir} do not end")
        time.sleep(0.05)


def check_address(host: str, port: int) -> None:
    """Refuse an address that the web process could not listen on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        # As the web server does: connections that are still closing do not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise UpError(f"cannot listen on {host} port {port} (HOST, PORT): {error.strerror}") from error
