"""While an action runs: its lease is renewed, and what it tells is written, by a thread beside it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from taskapi.core.db import database_now, db
from taskapi.core.repeating import name_of
from taskapi.schedules.actions.base import RunContext
from taskapi.schedules.engine import claims
from taskapi.schedules.engine.cancelling import CancelWatch
from taskapi.schedules.engine.journal import Journal

log = structlog.get_logger(__name__)

LEASE_SECONDS = 20.0
HEARTBEAT_SECONDS = 5.0
LOOK_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class _Held:
    """A run whose action works; ``lock`` is held while something is done for it beside that."""

    context: RunContext
    journal: Journal
    watch: CancelWatch
    engine: sa.Engine
    renewed_at: float
    is_ours: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)

    def beat(self) -> None:
        try:
            self.watch.look()
            if time.monotonic() - self.renewed_at >= HEARTBEAT_SECONDS:
                self._renew()
            if self.is_ours:
                self.journal.write(self._writing())
        except SQLAlchemyError as error:
            # The lease outlives a few missed beats, and with them a restart of the database.
            log.warning("lease.beat_failed", error=name_of(error))

    def _renew(self) -> None:
        lease_until = database_now(LEASE_SECONDS)
        extension = claims.change_of_attempt(
            self.context.run_id, self.context.attempt, lease_until=lease_until
        )
        with self._writing().begin() as connection:
            self.is_ours = connection.execute(extension).rowcount > 0
        self.renewed_at = time.monotonic()
        if not self.is_ours:
            log.warning("lease.lost")

    def _writing(self) -> sa.Engine:
        return self.engine.execution_options(taskapi_writes=True)


class Keeper:
    """The thread of a process that looks each second after the runs that are worked on.

    It is one for all runs, one after the other: a short run is over before it looks, and costs
    nothing. It ends when there was nothing to look after for a while.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[_Held] = set()
        self._thread: threading.Thread | None = None

    def take(self, held: _Held) -> None:
        with self._lock:
            self._held.add(held)
            # A thread that was there before a fork is none of this process.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._live, name="lease", daemon=True)
                self._thread.start()

    def leave(self, held: _Held) -> None:
        """Nothing is done for the run any more when this returns."""
        with self._lock:
            self._held.discard(held)
        with held.lock:
            held.is_ours = False

    def _live(self) -> None:
        while True:
            pause = min(LOOK_SECONDS, HEARTBEAT_SECONDS)
            time.sleep(pause)
            with self._lock:
                if not self._held:
                    self._thread = None
                    return
                # One that has just begun is most likely over soon.
                worth = [held for held in self._held if time.monotonic() - held.renewed_at >= pause / 2]
            for held in worth:
                with held.lock:
                    if held.is_ours:
                        held.beat()


_keeper = Keeper()


@contextmanager
def keep_lease(context: RunContext, journal: Journal) -> Iterator[CancelWatch]:
    """Hold the run of ``context`` while the action runs in this thread; gives who may tell it to stop."""
    watch = CancelWatch(context, journal)
    held = _Held(context, journal, watch, db.engine, time.monotonic())
    _keeper.take(held)
    try:
        yield watch
    finally:
        _keeper.leave(held)
