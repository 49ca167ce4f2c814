"""Keeps processes running: prints their lines, starts again what dies, stops them all in order."""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Self

from taskapi.core.processes import ChildProcess, LaunchError
from taskapi.ops.output import LineBuffer, Output
from taskapi.ops.undertaker import Undertaker, kill_strays

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
# Whatever lived this long was well: its next death starts the backoff anew.
HEALTHY_SECONDS = 30.0
# Together they keep a stop below 5 seconds. Who is asked once more ends what it has in progress.
STOP_SECONDS = 3.0
INSIST_SECONDS = 1.0
STOP_LAST_SECONDS = 0.6
KILL_SECONDS = 0.2
WATCH_SECONDS = 0.1
LEADER = "up"


class Signals:
    """Turns signals into a readable socket, so that one loop waits for signals, lines and deaths."""

    def __init__(self) -> None:
        self.stop_requested = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._previous[number] = signal.signal(number, self._request_stop)
        # A signal without a handler of Python's would not be written to the socket.
        self._previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        self.reader.close()
        self._writer.close()

    def drain(self) -> None:
        """Forget the signals that woke the loop; what they mean is kept elsewhere."""
        self.reader.recv(4096)

    def _request_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_requested = True


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next start: twice as long each time, up to a limit."""

    delay: float = 0.0

    def next_delay(self, lived: float) -> float:
        """The wait after a life of this many seconds."""
        doubled = 0.0 if lived >= HEALTHY_SECONDS else self.delay * 2
        self.delay = min(doubled or FIRST_DELAY, LONGEST_DELAY)
        return self.delay


@dataclass(slots=True, eq=False)
class Supervised:
    """A process with what the supervisor knows of it."""

    process: ChildProcess
    ends_last: bool = False
    restarts: bool = True
    was_launched: bool = False
    is_running: bool = False
    exit_code: int = 0
    started_at: float = 0.0
    start_at: float | None = None
    backoff: Backoff = field(default_factory=Backoff)
    lines: LineBuffer = field(default_factory=LineBuffer)


class Supervisor:
    """Runs processes from one thread: a child must end with it, and Linux counts the thread."""

    def __init__(self, output: Output, signals: Signals, undertaker: Undertaker, marker: str) -> None:
        self._output = output
        self._signals = signals
        self._undertaker = undertaker
        self._marker = marker
        self._supervised: list[Supervised] = []
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals.reader, selectors.EVENT_READ, signals.drain)

    def start(self, process: ChildProcess, *, ends_last: bool = False) -> None:
        """Start a process and keep it running.

        Raises:
            LaunchError: its program cannot be started.
        """
        entry = Supervised(process, ends_last=ends_last)
        self._launch(entry)
        self._supervised.append(entry)

    def start_later(self, process: ChildProcess, delay: float) -> None:
        """Start a process while ``run`` runs: after this time, or when its ``watch`` says yes."""
        self._supervised.append(Supervised(process, start_at=time.monotonic() + delay))

    def run_to_end(self, process: ChildProcess) -> int:
        """Run a process once; its exit code, or 0 when a stop was requested meanwhile."""
        entry = Supervised(process, restarts=False)
        self._launch(entry)
        self._supervised.append(entry)
        while entry.is_running and not self._signals.stop_requested:
            self._wait(None)
        return entry.exit_code

    def run(self, watch: Callable[[], bool]) -> None:
        """Keep the processes running until a stop is requested; call ``watch`` until it says yes.

        Raises:
            LaunchError: the program of a process that was to start later cannot be started.
        """
        watching = True
        while not self._signals.stop_requested:
            if watching and watch():
                watching = False
                for entry in self._supervised:
                    if not entry.was_launched:
                        entry.start_at = time.monotonic()
            self._launch_due()
            pending = [entry.start_at for entry in self._supervised if entry.start_at is not None]
            if watching:
                pending.append(time.monotonic() + WATCH_SECONDS)
            self._wait(min(pending, default=None))

    def stop(self) -> None:
        """End all processes within five seconds, those that the others need last."""
        self._stopping = True
        others = [entry for entry in self._supervised if not entry.ends_last]
        # A worker has what it was doing taken back then: it would wait for its lease.
        self._end(others, STOP_SECONDS, INSIST_SECONDS)
        kill_strays(self._marker)
        self._end([entry for entry in self._supervised if entry.ends_last], STOP_LAST_SECONDS)
        self._selector.close()

    def _launch(self, entry: Supervised) -> None:
        entry.process.launch()
        entry.was_launched = entry.is_running = True
        entry.start_at, entry.started_at = None, time.monotonic()
        self._undertaker.add(entry.process.pid)
        if pipe := entry.process.output:
            # What a process leaves in its pipe is read after its death, without waiting for more.
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, lambda: self._print_lines(entry))

    def _launch_due(self) -> None:
        for entry in self._supervised:
            if entry.start_at is None or entry.start_at > time.monotonic():
                continue
            try:
                self._launch(entry)
            except LaunchError as error:
                # What never ran is a mistake in the Procfile; what vanished may come back.
                if not entry.was_launched:
                    raise
                self._schedule(entry, lived=0.0, reason=str(error))

    def _schedule(self, entry: Supervised, *, lived: float, reason: str) -> None:
        delay = entry.backoff.next_delay(lived)
        entry.start_at = time.monotonic() + delay
        self._output.line(LEADER, f"{reason}: starting it again in {delay:g} s")

    def _wait(self, until: float | None) -> None:
        """Handle what happens until this time, or the first thing that happens."""
        timeout = None if until is None else max(0.0, until - time.monotonic())
        for key, _ in self._selector.select(timeout):
            key.data()
        self._undertaker.replace_if_dead()
        for entry in self._supervised:
            if entry.is_running and (code := entry.process.poll()) is not None:
                self._bury(entry, code)

    def _bury(self, entry: Supervised, code: int) -> None:
        # What is left of its group would hold its port, and its pipe.
        entry.process.kill()
        self._undertaker.remove(entry.process.pid)
        entry.is_running, entry.exit_code = False, code
        self._print_lines(entry)
        self._close_output(entry)
        if entry.restarts and not self._stopping:
            lived = time.monotonic() - entry.started_at
            self._schedule(entry, lived=lived, reason=f"{entry.process.name} {describe_exit(code)}")

    def _print_lines(self, entry: Supervised) -> None:
        pipe = entry.process.output
        if pipe is None or pipe.closed:
            return
        try:
            # As much as a pipe holds: one reading finds all that a dead process left.
            data = os.read(pipe.fileno(), LineBuffer.LIMIT)
        except BlockingIOError:
            return
        for line in entry.lines.feed(data):
            self._output.line(entry.process.name, line)
        if not data:
            self._close_output(entry)

    def _close_output(self, entry: Supervised) -> None:
        for line in entry.lines.feed(b""):
            self._output.line(entry.process.name, line)
        pipe = entry.process.output
        if pipe is not None and not pipe.closed:
            self._selector.unregister(pipe)
            pipe.close()

    def _end(self, entries: list[Supervised], *patience: float) -> None:
        """Ask them to end as often as there is patience, for so many seconds each, and then kill them."""
        for seconds in patience:
            for entry in entries:
                if entry.is_running:
                    entry.process.terminate()
            self._wait_for_end(entries, seconds)
        for entry in entries:
            if entry.is_running:
                self._output.line(LEADER, f"{entry.process.name} does not end: it is killed")
                entry.process.kill()
        self._wait_for_end(entries, KILL_SECONDS)

    def _wait_for_end(self, entries: list[Supervised], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(entry.is_running for entry in entries):
            self._wait(deadline)


def describe_exit(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        return f"was ended by signal {-code} ({signal.strsignal(-code)})"
    return f"ended with exit code {code}"
