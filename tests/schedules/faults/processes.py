"""The processes of an installation, played one at a time in this one, by a clock that a test moves."""

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa
import structlog
from flask import Flask

from taskapi.background import connection, crew, hand, idling
from taskapi.background.board import Board
from taskapi.background.connection import redis_client
from taskapi.background.hand import Hand
from taskapi.background.names import Queue
from taskapi.clients.mail import mail_client
from taskapi.core import freshness, repeating
from taskapi.core.db import db
from taskapi.core.engine import doubt_connections
from taskapi.events.webhooks import sending
from taskapi.notifications import jobs as mail_jobs
from taskapi.schedules.actions.base import RunContext
from taskapi.schedules.engine import admission, dispatch, due, expecting, finishing, lease
from tests.schedules.making import Time

log = structlog.get_logger(__name__)

SIGNALLED = 9
_former_pools: list[sa.Pool] = []
# Whose own clock goes by the test's.
WAITING = (connection, due, expecting, hand, lease, repeating, sending)


class Pace:
    """In the place of the module ``time``: the test's clock, which whoever sleeps moves."""

    def __init__(self, time: Time) -> None:
        self._time, self._start = time, time.now

    def monotonic(self) -> float:
        return (self._time.now - self._start).total_seconds()

    def sleep(self, seconds: float) -> None:
        self._time.pass_(seconds=seconds)


class KeeperByHand:
    """Keeps leases as the thread does that looks each second, but when somebody says so."""

    def __init__(self) -> None:
        self._held: list[lease._Held] = []

    def take(self, held: lease._Held) -> None:
        """Its action begins."""
        self._held.append(held)

    def leave(self, held: lease._Held) -> None:
        """Its action has ended."""
        held.is_ours = False
        self._held = [each for each in self._held if each is not held]

    def beat(self, context: RunContext) -> bool:
        """Do for the attempt what the thread does; whether it goes on to look after it."""
        for held in self._held:
            if held.context is context and held.is_ours:
                with held.lock:
                    held.beat()
                return held.is_ours
        return False


keeper = KeeperByHand()


@contextmanager
def at_pace(time: Time) -> Iterator[None]:
    """All that waits, or measures how long something took, goes by the test's clock."""
    pace = Pace(time)
    with ExitStack() as patches:
        for module in WAITING:
            patches.enter_context(patch.object(module, "time", pace))
        patches.enter_context(patch.object(finishing, "monotonic", pace.monotonic))
        for module in (finishing, mail_jobs):
            patches.enter_context(patch.object(module, "is_work_horse", lambda: True))
        patches.enter_context(patch.object(lease, "_keeper", keeper))
        yield


@dataclass
class DeadHorse:
    """What a worker knows of its work-horse that is gone."""

    status: int = SIGNALLED
    pid: int = 0
    victims: set[str] = field(default_factory=set)
    is_done: bool = False
    is_spent: bool = False


class Worker:
    """A worker of some queues, and what its work-horse has in memory."""

    def __init__(self, app: Flask, *queues: Queue) -> None:
        self._app = app
        self._remember_nothing()
        with app.app_context():
            self.hand = Hand(app, queues, redis_client())
            self.hand.push_exc_handler(_tell)  # type: ignore[no-untyped-call]
            self.hand.register_birth()  # type: ignore[no-untyped-call]

    def _remember_nothing(self) -> None:
        self._kept, self._idle_steps = finishing._Kept(), dict[idling.Step, bool]()
        self._mails: Any = threading.local()

    @contextmanager
    def at_work(self) -> Iterator[Hand]:
        """Inside the work-horse; what it dies of is seen to by the worker."""
        with ExitStack() as memory:
            memory.enter_context(self._app.app_context())
            memory.enter_context(patch.object(finishing, "_kept", self._kept))
            memory.enter_context(patch.object(idling, "_steps", self._idle_steps))
            for transport in mail_client()._transports:
                memory.enter_context(patch.object(transport, "_kept", self._mails))
            yield self.hand

    def work(self) -> None:
        """Do what is queued, until there is nothing left or the process dies.

        Raises:
            Killed: here.
        """
        with self.at_work() as hand:
            try:
                while hand.labour(Board(1), burst=True):
                    self._hang_up()
            finally:
                self._hang_up()

    def _hang_up(self) -> None:
        """The end of a process closes its connections."""
        line = self.hand.books._line
        if line._connection is not None:
            line._connection.disconnect()
            line._pool.release(line._connection)
            line._connection = None

    def bury(self) -> None:
        """What a worker does when its work-horse is gone."""
        self._drop()
        with self._app.app_context():
            crew._settle(self.hand, DeadHorse())  # type: ignore[arg-type]
            self.hand.tell_alive()

    def _drop(self) -> None:
        """The memory of a process goes, and its connections with it."""
        line, mails = self._kept.line, getattr(self._mails, "connection", None)
        self._remember_nothing()
        if mails is not None:
            # Without a goodbye: the system closes it.
            mails.host.close()
        if line is not None and line._borrowed is not None:
            # The pool may be none any more.
            line._borrowed.invalidate()
            line.give_back()

    def leave(self) -> None:
        """End in order."""
        self._drop()
        with self._app.app_context():
            self.hand.register_death()  # type: ignore[no-untyped-call]


def _tell(*_of_a_job: object) -> bool:
    """What a job raises is told by RQ alone, and then RQ's own way is gone on with."""
    log.exception("job.failed")
    return True


def safely(app: Flask, *acts: Callable[[], object]) -> None:
    """As a loop of the scheduler, or jobs one after the other: what one raises keeps no other back."""
    for act in acts:
        try:
            with app.app_context():
                act()
        except Exception:
            log.exception("loop.failed")


def forget_everything(app: Flask) -> None:
    """A new process remembers nothing of the one before."""
    dispatch._expected.forget()
    due.forget_backlog()
    admission._turns.last = admission.BEFORE_ALL
    connection._silence.clear()
    with app.app_context():
        missed: Any = freshness._missed()
        missed.last = missed.made_up_for
        _doubt(db.engine)
        redis_client().connection_pool.disconnect()
        redis_client().connection_pool.reset()


def leave_pool(engine: sa.Engine) -> None:
    """Go on with a new pool; what others still work with is closed by ``close_former_pools``."""
    _former_pools.append(engine.pool)
    engine.dispose()


def close_former_pools() -> None:
    """Close what has come back to pools that are none any more, and what nobody brings back."""
    while _former_pools:
        pool: Any = _former_pools.pop()
        if pool.checkedout():
            # By what was killed: its exception goes round in a circle.
            gc.collect()
        pool.dispose()


def _doubt(engine: sa.Engine) -> None:
    """Have no connection used that may have been cut; others may still work with theirs."""
    if engine.dialect.name == "sqlite":
        leave_pool(engine)
    else:
        doubt_connections()


class Scheduler:
    """A scheduler, and what it has in memory between two rounds."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self.forget()

    def forget(self) -> None:
        """A new process takes its place."""
        self._memory = [
            (dispatch, "_expected", expecting.Expected()),
            (due, "_backlog", due._Backlog()),
            (admission, "_turns", admission._Turns()),
        ]

    def do(self, *acts: Callable[[], object]) -> None:
        """Do them one after the other, each as a loop of its own.

        Raises:
            Killed: here.
        """
        with ExitStack() as patches:
            for module, name, kept in self._memory:
                patches.enter_context(patch.object(module, name, kept))
            safely(self._app, *acts)
