"""What goes wrong at which step, and what may be raised because of it: all else is a fault of ours."""

import smtplib
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any

import psycopg
import structlog
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as AnswerTimedOut
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from urllib3.exceptions import HTTPError

from taskapi.clients.smtp import MailError
from taskapi.core.errors import Unavailable
from tests.schedules.faults import drivers


class Kind(StrEnum):
    """To whom a step goes, and what it says."""

    STATEMENT = drivers.STATEMENT
    PREPARED = drivers.PREPARED
    COMMIT = drivers.COMMIT
    ROLLBACK = drivers.ROLLBACK
    REDIS = auto()
    MAIL = auto()
    CALL = auto()


class Mode(StrEnum):
    """What happens at a step.

    Attributes:
        FAIL_BEFORE: the connection is broken; nothing was done.
        DO_THEN_FAIL: it is done, and then the connection breaks.
        HANG: the client's time limit ends it, or the server's.
        KILLED: it is done, and the process does nothing any more.
        GONE: the server is gone, and comes back after a while.
        UNDONE: it is answered, and then the connection breaks before the commit that belongs to it.
    """

    FAIL_BEFORE = auto()
    DO_THEN_FAIL = auto()
    HANG = auto()
    KILLED = auto()
    GONE = auto()
    UNDONE = auto()


DATABASE = {Kind.STATEMENT, Kind.PREPARED, Kind.COMMIT, Kind.ROLLBACK}
OF_DATABASE = (
    *(OperationalError, InterfaceError),
    *(psycopg.OperationalError, psycopg.InterfaceError, sqlite3.OperationalError),
    Unavailable,
)
# What the clients of each say of one that broke, that hangs or is away, and what we make of it; what a server
# says that has understood and refuses is ours, whatever happened before.
EXCUSED: dict[Kind, tuple[type[BaseException], ...]] = {
    **dict.fromkeys(DATABASE, OF_DATABASE),
    Kind.REDIS: (Disconnected, AnswerTimedOut, Unavailable),
    Kind.MAIL: (smtplib.SMTPException, OSError, MailError),
    Kind.CALL: (HTTPError, OSError),
}
# How is told what is nothing to worry about.
OF_NO_MATTER = ("debug", "info")


def excuses(struck: Kind, error: BaseException) -> bool:
    """Whether a fault at such a step may cause the error."""
    if struck in DATABASE and isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, EXCUSED[struck])


class Killed(BaseException):
    """The process was killed here: no line of it that follows has any effect outside."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at which step, counted from 1.

    Attributes:
        among: only steps of these kinds count.
    """

    step: int
    mode: Mode
    among: frozenset[Kind] = frozenset(Kind)

    def is_now(self, steps: Sequence[Kind]) -> bool:
        """Whether it happens at the last of the steps."""
        return steps[-1] in self.among and sum(kind in self.among for kind in steps) == self.step


@dataclass
class Played:
    """What was done while something was played.

    Attributes:
        steps: their kinds, in their order.
        struck: at which kind of step the fault was.
        was_killed: the process ended there.
        has_died: so did it, or it raised something.
    """

    steps: list[Kind] = field(default_factory=list)
    struck: Kind | None = None
    was_killed: bool = False
    has_died: bool = False
    raised: list[BaseException] = field(default_factory=list)

    @property
    def counted(self) -> Counter[Kind]:
        return Counter(self.steps)

    def note(self, error: BaseException) -> None:
        """It was raised, whoever has caught it."""
        self.raised.append(error)

    def judge(self) -> None:
        """Raise what the fault is no excuse for; without a fault that is all."""
        for error in self.raised:
            is_excused = self.struck is not None and excuses(self.struck, error)
            if not is_excused and not (self.was_killed and isinstance(error, Killed)):
                raise error


def may_mail_twice(fault: Fault | None, played: Played) -> bool:
    """Only if nobody can know that the server has taken it: it did not say so, or who sent it is gone."""
    if played.was_killed:
        return Kind.MAIL in played.steps
    return played.struck is Kind.MAIL and fault is not None and fault.mode is Mode.DO_THEN_FAIL


@contextmanager
def heard(note: Callable[[BaseException], None]) -> Iterator[None]:
    """Whoever catches something and warns of it in the log is heard: it may never come out again."""
    # As where Hypothesis ends an example, and all is brought to its end: that was raised by none of them.
    in_flight = sys.exc_info()[1]

    def hear(_logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        error = sys.exc_info()[1]
        if error not in (None, in_flight) and method not in OF_NO_MATTER:
            note(error)
        return event

    # In the list itself: loggers keep it.
    processors = structlog.get_config()["processors"]
    processors.insert(0, hear)
    try:
        yield
    finally:
        processors.remove(hear)
