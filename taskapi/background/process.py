"""Facts about operating system processes that several rooms need."""

import os
import signal
import socket

from taskapi.core.processes import tie_to


def die_with_parent(parent_pid: int) -> None:
    """Let the kernel kill this forked child when its parent ends."""
    tie_to(parent_pid, signal.SIGKILL)()


_is_work_horse = False


def become_work_horse() -> None:
    """Note that this process works on one job only, and may be ended without harm to others."""
    global _is_work_horse
    _is_work_horse = True


def is_work_horse() -> bool:
    return _is_work_horse


def process_of(worker: str, pid: int) -> str:
    """A name for one of the processes that a worker has one after the other."""
    return f"{worker}/{pid}"


def process_name(kind: str) -> str:
    """A name that no other process of the installation has, and that says where it runs."""
    return f"{kind}-{socket.gethostname()}-{os.getpid()}-{os.urandom(6).hex()}"
