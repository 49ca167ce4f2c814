"""The undertaker: a small process that outlives a killed leader and ends what it left behind.

The leader names its children over a pipe whose only writing end it holds. The end of the pipe
without a goodbye means that the leader is gone. This file is also run by itself, as a script
that cannot see the package: it imports the standard library only.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

# Every descendant inherits it, so it also finds those that left their process group.
MARKER_VARIABLE = "TASKAPI_UP_ID"
GOODBYE = b"goodbye"
GRACE_SECONDS = 2.0
SWEEPS = 20


class Undertaker:
    """The leader's side: starts the undertaker, names children to it, says goodbye."""

    def __init__(self, lock: int, marker: str) -> None:
        self._lock = lock
        self._marker = marker
        self._children: set[int] = set()
        self._process = self._start()

    def add(self, pid: int) -> None:
        """A child has been started."""
        self._children.add(pid)
        self._tell(f"+{pid}")

    def remove(self, pid: int) -> None:
        """A child has ended, and what was left of its process group too."""
        self._children.discard(pid)
        self._tell(f"-{pid}")

    def replace_if_dead(self) -> None:
        """Somebody may kill the undertaker: another takes its place."""
        if self._process.poll() is None:
            return
        self._close()
        self._process = self._start()
        for pid in self._children:
            self._tell(f"+{pid}")

    def dismiss(self) -> None:
        """Nothing is left to watch over."""
        self._tell(GOODBYE.decode())
        self._close()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        # A program of its own, not a fork: it stays small, and `pkill -f "flask up"` spares it.
        # It holds the leader's lock as well: nobody may start here until it is done.
        return subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(self._lock), self._marker],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[self._lock],
            start_new_session=True,
            bufsize=0,
        )

    def _tell(self, message: str) -> None:
        assert self._process.stdin is not None
        # A dead one is replaced at its SIGCHLD, and the new one is told everything again.
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{message}\n".encode())

    def _close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()


def watch(messages: Iterable[bytes]) -> set[int] | None:
    """Follow the leader's messages to their end; the children left alone, or ``None`` after a goodbye."""
    children: set[int] = set()
    for message in messages:
        word = message.strip()
        if word == GOODBYE:
            return None
        (children.add if word.startswith(b"+") else children.discard)(int(word[1:]))
    return children


def bury(children: Iterable[int], marker: str) -> None:
    """End these processes with all their descendants: first asked, after the grace time forced."""
    left = set(children)
    for pid in left:
        send(os.kill, pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and any(is_alive(pid) for pid in left):
        time.sleep(0.05)
    for pid in left:
        send(os.killpg, pid, signal.SIGKILL)
    kill_strays(marker)


def kill_strays(marker: str) -> None:
    """End every process that carries the marker, such as work-horses in process groups of their own."""
    # One may fork while the list is read, so it is read until it is empty; a process that
    # cannot die (it waits for a disk) must not hold the end forever.
    for _ in range(SWEEPS):
        strays = find_strays(marker)
        if not strays:
            return
        for pid in strays:
            send(os.kill, pid, signal.SIGKILL)
        time.sleep(0.02)


def find_strays(marker: str) -> list[int]:
    """The living processes whose environment holds the marker; none where there is no /proc."""
    entry = f"{MARKER_VARIABLE}={marker}".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        # Processes of other users cannot be read, others end while the list is walked.
        with suppress(OSError):
            if entry in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
    return found


def is_alive(pid: int) -> bool:
    """Tell whether a process still runs; a zombie is dead, however slow its new parent is to notice."""
    if not send(os.kill, pid, 0):
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return True
    return state != b"Z"


def send(function: Callable[[int, int], None], pid: int, number: int) -> bool:
    """Signal a process or a group; tell whether it was there."""
    try:
        function(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main(lock: int, marker: str) -> None:
    """Wait for the leader's end, then do what it could not do any more."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    children = watch(sys.stdin.buffer)
    if children is None:
        return
    # An empty lock file tells the next leader to wait a moment instead of giving up.
    os.ftruncate(lock, 0)
    bury(children, marker)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
