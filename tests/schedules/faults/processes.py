"""The processes of an installation, played one at a time in this one, by a clock that a test moves."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from uuid import UUID

import sqlalchemy as sa
from flask import Flask
from rq.utils import now

from taskapi.background import connection, crew, hand, idling
from taskapi.background.board import Board
from taskapi.background.bookkeeping import Done, Taken
from taskapi.background.connection import redis_client
from taskapi.background.hand import Hand
from taskapi.background.idling import run_idle_steps
from taskapi.background.names import EXECUTE_RUN, Queue
from taskapi.clients.mail import mail_client
from taskapi.core import freshness, repeating
from taskapi.core.db import db
from taskapi.core.engine import doubt_connections
from taskapi.events.webhooks import sending
from taskapi.notifications import jobs as mail_jobs
from taskapi.schedules.engine import admission, dispatch, due, execution, expecting, finishing, lease
from taskapi.schedules.engine.claims import Claim
from taskapi.schedules.engine.journal import Journal
from taskapi.schedules.engine.settling import Ending
from tests.schedules.making import Time

SIGNALLED = 9
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


class NoThread:
    """Keeps leases by no thread: runs of tests are short."""

    def take(self, _held: object) -> None:
        """Do nothing."""

    def leave(self, _held: object) -> None:
        """Do nothing."""


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
        patches.enter_context(patch.object(lease, "_keeper", NoThread()))
        yield


@dataclass
class DeadHorse:
    """What a worker knows of its work-horse that is gone."""

    status: int = SIGNALLED
    pid: int = 0
    victims: set[str] = field(default_factory=set)


class Worker:
    """A worker of some queues, and what its work-horse has in memory."""

    def __init__(self, app: Flask, *queues: Queue) -> None:
        self._app = app
        self._remember_nothing()
        with app.app_context():
            self.hand = Hand(app, queues, redis_client())
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


def safely(app: Flask, *acts: Callable[[], object]) -> None:
    """As a loop of the scheduler, or jobs one after the other: what one raises keeps no other back."""
    for act in acts:
        try:
            with app.app_context():
                act()
        except Exception:  # noqa: BLE001 - as there
            continue


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


def _doubt(engine: sa.Engine) -> None:
    """Have no connection used that may have been cut; others may still work with theirs."""
    if engine.dialect.name == "sqlite":
        engine.dispose()
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


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run that a worker has done, but not told of: in between other things happen."""

    worker: Worker
    taken: Taken
    ending: Ending

    @classmethod
    def begin(cls, worker: Worker) -> "Attempt | None":
        """Take the next job; None if there is none, or if it was no run to begin, and is done."""
        with worker.at_work() as hand:
            taken = hand.books.step(None, wanted=True)
            if not isinstance(taken, Taken):
                return None
            if taken.job.func_name == EXECUTE_RUN:
                claim = finishing.claim(UUID(taken.job.args[0]), worker=hand.name)
                if claim is not None:
                    return cls(worker, taken, _perform(claim))
                done: Done | None = Done(taken, None, now())
            else:
                done, _ = hand._do(taken)
            hand.books.step(done, wanted=False)
            return None

    def end(self) -> None:
        """Tell of it, however late."""
        with self.worker.at_work() as hand:
            finishing.end(self.ending)
            hand.books.step(Done(self.taken, None, now()), wanted=False)
            run_idle_steps()


def _perform(claim: Claim) -> Ending:
    """The first part of ``execution.execute_run``."""
    context = execution._context(claim)
    journal = Journal(context)
    with lease.keep_lease(context, journal) as watch:
        result, failure = execution._perform(claim, context, watch)
    return Ending(claim, journal, result, failure, {"run_id": str(claim.id), "user": str(claim.owner_id)})
