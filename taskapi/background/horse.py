"""The work-horse: a forked process that does one job after the other for its worker.

RQ forks a process for each job, which costs more than most jobs. Here it is forked once and told of
each job over a socket; a crash, a stop command or a time limit still ends it and that job alone, and
the next job gets a new one.
"""

import os
import resource
import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

log = structlog.get_logger(__name__)

# Whatever a job leaves behind in its process is gone after so many.
MAX_JOBS = 1_000
MAX_MEMORY_BYTES = 512 * 1024 * 1024
DONE, DONE_AND_GONE = b".", b"!"
LEAVE_SECONDS = 2.0
# The status of a process that ended in the middle of a job as if all was well: as of exit code 1.
GAVE_UP = 1 << 8


@dataclass(frozen=True, slots=True)
class Order:
    """Which job is to be done: as many words as a line over the socket has."""

    job_id: str
    execution_id: str
    queue: str


class WorkHorse:
    """The parent's view of the process.

    Args:
        do: called in the process for each order; what it raises ends the process, and so does
            False, once it is told that the job is done.
        prepare: called once in the process before the first order.
    """

    def __init__(self, do: Callable[[Order], bool], prepare: Callable[[], None]) -> None:
        self._socket, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self._socket.close()
            _live(theirs, do, prepare)
        theirs.close()
        self._busy = False
        self._status = GAVE_UP

    def hand_over(self, order: Order) -> None:
        """Have a job done; that the process has died shows when it is waited for."""
        self._busy = True
        line = "\t".join((order.job_id, order.execution_id, order.queue))
        # Looking whether it left also takes away its answer to the job before.
        if not self.has_left:
            with suppress(OSError):
                self._socket.sendall(f"{line}\n".encode())

    def wait(self) -> int | None:
        """Wait for the end of the job: None when it was done, else the status of the process that died.

        A horse that did its last job has left when this returns; see ``has_left``.
        """
        # RQ's timer may break this off anywhere, to call it again: the answer stays until it was acted upon.
        answer = b""
        with suppress(OSError):
            answer = self._socket.recv(1, socket.MSG_PEEK)
        if answer != DONE:
            self._bury()
        self._busy = False
        return None if answer else self._status or GAVE_UP

    @property
    def has_left(self) -> bool:
        """Whether the process is gone, also by somebody else's hand while it waited for work."""
        if self._socket.fileno() == -1:
            return True
        while select.select([self._socket], [], [], 0)[0]:
            answer = b""
            with suppress(ConnectionError):
                answer = self._socket.recv(1)
            # Beside what ``wait`` left it says nothing unasked, so this is its end.
            if answer != DONE:
                self._bury()
                return True
        return False

    def dismiss(self) -> None:
        """Let the process end: after its job if it has one, else now, by force if it must be."""
        if not self._busy and self.has_left:
            return
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        if self._busy:
            # The worker lost Redis, not the job its reason: it ends by itself, and then its process.
            self._socket.close()
            return
        if not select.select([self._socket], [], [], LEAVE_SECONDS)[0]:
            os.kill(self.pid, signal.SIGKILL)
        self._bury()

    def _bury(self) -> None:
        with suppress(ChildProcessError):
            self._status = os.waitpid(self.pid, 0)[1]
        self._socket.close()


def _live(orders: socket.socket, do: Callable[[Order], bool], prepare: Callable[[], None]) -> None:
    """The life of the process: it never returns into the worker's code."""
    try:
        prepare()
        # What a job forked may outlive this process, whose end must show nevertheless.
        os.register_at_fork(after_in_child=partial(_let_go, orders.fileno()))
        for done, line in enumerate(orders.makefile("r"), start=1):
            is_well = do(Order(*line.rstrip("\n").split("\t")))
            spent = not is_well or done == MAX_JOBS or _memory_used() > MAX_MEMORY_BYTES
            # Nobody listens any more when the worker lost Redis.
            with suppress(ConnectionError):
                orders.sendall(DONE_AND_GONE if spent else DONE)
            if spent:
                break
    except BaseException:
        # The worker fails the job of a horse that died.
        log.exception("worker.horse_failed")
        os._exit(1)
    os._exit(0)


def _let_go(descriptor: int) -> None:
    """Give up the socket; its number stays taken, as an object will close it some day."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


def _memory_used() -> int:
    """The most that the process ever took, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
