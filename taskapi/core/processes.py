"""Child processes that do not outlive the process that started them."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO

PR_SET_PDEATHSIG = 1


class LaunchError(RuntimeError):
    """A program cannot be started; the message is one line for the operator."""


class ChildProcess:
    """A program in a session of its own that is told to end when this process is gone."""

    def __init__(
        self, name: str, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.arguments = list(arguments)
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        return self._started().pid

    @property
    def output(self) -> IO[bytes] | None:
        """What the program prints, when ``launch`` made a pipe for it."""
        return self._started().stdout

    def launch(self) -> None:
        """Start the program, with its output and errors in one pipe."""
        self._spawn(subprocess.PIPE)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; ``None`` while it runs."""
        return self._started().poll()

    def wait(self, seconds: float) -> bool:
        """Tell whether it ended within this time."""
        try:
            self._started().wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def terminate(self) -> None:
        """Ask it to end; its own children are its business, it ends them in its own order."""
        self._started().terminate()

    def kill(self) -> None:
        """End it and whatever is left of its process group, at once."""
        # macOS answers EPERM, not ESRCH, for a group in which only zombies are left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _spawn(self, output: int | IO[bytes]) -> None:
        try:
            self._process = subprocess.Popen(
                self.arguments,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                bufsize=0,
                # A Ctrl-C of the terminal reaches this process only, which then decides the order.
                start_new_session=True,
                preexec_fn=tie_to(os.getpid(), signal.SIGTERM),
            )
        except OSError as error:
            raise LaunchError(f"cannot start {self.name}: {self.arguments[0]}: {error.strerror}") from error

    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "launch() comes first"
        return self._process


def tie_to(parent_pid: int, death_signal: signal.Signals) -> Callable[[], None]:
    """What a child calls so that its end follows its parent's, even by kill -9 (Linux only).

    The kernel sends the signal when the forking *thread* ends: start programs from the main thread.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    # Everything is made ready here, before the fork: a forked child must not import or take locks.
    prctl = ctypes.CDLL(None).prctl

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        # A parent that died before that call would never be noticed.
        if os.getppid() != parent_pid:
            os._exit(1)

    return ask_the_kernel
