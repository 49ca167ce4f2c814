"""Facts about operating system processes that several rooms need."""

import ctypes
import os
import signal
import socket
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int, death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Let the kernel end this process when its parent ends, even by kill -9 (Linux; elsewhere nothing).

    Call it in the child. The setting belongs to the parent's *thread* that made the fork.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent_pid:
        # The parent died before the request was made, so the kernel will not tell.
        os.kill(os.getpid(), death_signal)


def process_name(kind: str) -> str:
    """A name that no other process of the installation has, and that says where it runs."""
    return f"{kind}-{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
