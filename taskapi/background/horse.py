"""The work-horse: a forked process that takes and does one job after the other for its worker.

RQ forks a process for each job, which costs more than most jobs. Here it is forked once; a crash, a stop
command or a time limit still ends it and that job alone, and the next job gets a new one.
"""

import os
import resource
import select
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import structlog

from taskapi.background.board import Board

log = structlog.get_logger(__name__)

# Whatever a job leaves behind in its process is gone after so many.
MAX_JOBS = 5_000
MAX_MEMORY_BYTES = 512 * 1024 * 1024
# The status of a process that is to be followed by another, though all went well.
SPENT = 3

# What one hand does until it leaves; whether a new process should go on.
Labour = Callable[[Board], bool]


class WorkHorse:
    """The parent's view of the process.

    Args:
        labours: what its hands do, the first in the main thread if it is alone, else each in a thread.
        prepare: called once in the process before anything else.
    """

    def __init__(self, labours: Sequence[Labour], prepare: Callable[[], None]) -> None:
        self.board = Board(len(labours))
        self.status: int | None = None
        # The jobs for whose sake it was killed: those of its other hands can do nothing for it.
        self.victims: set[str] = set()
        # Nothing is ever written: that its writer is gone is what shows.
        self._alive, alive = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._alive)
            # What a job forked may outlive this process, whose end must show nevertheless.
            os.register_at_fork(after_in_child=partial(_let_go, alive))
            _live(self.board, labours, prepare)
        os.close(alive)

    def fileno(self) -> int:
        """What becomes readable when it is gone, for ``select``, until that was seen."""
        return self._alive

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        if self.status is None and select.select([self], [], [], 0)[0]:
            self._bury()
        return self.status is not None

    def kill(self) -> None:
        """End it at once, with what its jobs started."""
        if self.status is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """End it and wait until it is gone."""
        self.kill()
        if self.status is None:
            self._bury()

    @property
    def is_spent(self) -> bool:
        """Whether it left for another to go on."""
        return self.status is not None and os.waitstatus_to_exitcode(self.status) == SPENT

    @property
    def is_done(self) -> bool:
        """Whether it left by itself, as it was told to or nothing was left to do."""
        return self.status == os.EX_OK

    def _bury(self) -> None:
        _, self.status = os.waitpid(self.pid, 0)
        os.close(self._alive)


def is_used_up(jobs: int) -> bool:
    """Whether this process did enough, or has grown too much."""
    return jobs >= MAX_JOBS or _memory_used() > MAX_MEMORY_BYTES


def _let_go(descriptor: int) -> None:
    """Give up a descriptor; its number stays taken, so that nothing else comes to have it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


def _memory_used() -> int:
    """The most that the process ever took, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _live(board: Board, labours: Sequence[Labour], prepare: Callable[[], None]) -> None:
    """The life of the process: it never returns into the worker's code."""
    status = 1
    try:
        prepare()
        is_spent = labours[0](board) if len(labours) == 1 else _together(board, labours)
        status = SPENT if is_spent else os.EX_OK
    except BaseException:
        # The worker fails the job of a horse that died.
        log.exception("worker.horse_failed")
    os._exit(status)


def _together(board: Board, labours: Sequence[Labour]) -> bool:
    spent = []

    def work(labour: Labour) -> None:
        try:
            spent.append(labour(board))
        except BaseException:
            # A hand that is missing would be missed by nobody: the process makes room for a whole one.
            log.exception("worker.horse_failed")
            os._exit(1)

    threads = [threading.Thread(target=work, args=(labour,), daemon=True) for labour in labours]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return any(spent)
