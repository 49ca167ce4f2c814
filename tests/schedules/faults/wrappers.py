"""What leaves the process, step by step, and something that goes wrong at one of the steps.

Each statement, COMMIT and ROLLBACK, each command or pipeline to Redis, each connection to a mail server,
the question whether it is still there, each message over it, and each call over HTTP is a step. All real:
nothing is answered in the place of a server but what its client would say of one that broke, that hangs,
or that is away.
"""

import smtplib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa
from redis.connection import AbstractConnection
from urllib3.connection import HTTPConnection

from taskapi.core import clock
from taskapi.core.connections import Connection
from taskapi.core.prepared import Prepared
from tests.schedules.faults.drivers import SessionOfDatabase, driver_of, session_of
from tests.schedules.faults.struck import DATABASE, Fault, Killed, Kind, Mode, Played, heard
from tests.schedules.faults.ways import Asked, Called, Commanded, Mailed, Way

# So long a server that is gone stays away.
AWAY = timedelta(seconds=10)


class Outside:
    """Lies between the application and all others, as long as something is ``played``."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._played = Played()
        self._fault: Fault | None = None
        self._is_dead = self._shakes_hands = False
        self._gone: set[Kind] = set()
        self._back_at = clock.now()
        self._sessions: dict[int, SessionOfDatabase] = {}

    @contextmanager
    def played(self, fault: Fault | None = None) -> Iterator[Played]:
        """Count the steps of the block, in which ``fault`` happens; afterwards all is well again.

        What the block raises ends it, as it ends a process, and is no more than that if the fault excuses it.
        """
        played = self._played = Played()
        self._fault, self._is_dead = fault, False
        self._gone, self._sessions = set(), {}
        with ExitStack() as patches:
            for target, name, new in self._wrappers():
                patches.enter_context(patch.object(target, name, new))
            patches.enter_context(heard(played.note))
            try:
                yield played
            except Killed:
                played.has_died = True
            except Exception as error:  # noqa: BLE001 - whatever it is, it is judged
                played.note(error)
                played.has_died = True
        played.was_killed = self._is_dead
        played.judge()

    def kill(self) -> Killed:
        """The process ends here: PostgreSQL rolls back what it had open."""
        self._is_dead = True
        for opened in self._sessions.values():
            opened.cut()
        return Killed()

    def step(self, kind: Kind, way: Way) -> Any:
        """Do a step, unless it is the one that goes wrong."""
        if self._is_dead:
            raise Killed
        self._played.steps.append(kind)
        if self._is_away(kind):
            raise way.breaks()
        fault = self._fault
        if fault is None or not fault.is_now(self._played.steps):
            return way.do()
        self._played.struck = kind
        return self._strike(kind, way, fault.mode)

    def _strike(self, kind: Kind, way: Way, mode: Mode) -> Any:
        if mode is Mode.HANG:
            raise way.hangs()
        if mode is Mode.UNDONE:
            return way.undo()
        if mode is Mode.GONE:
            self._gone = DATABASE if kind in DATABASE else {kind}
            self._back_at = clock.now() + AWAY
        if mode in (Mode.DO_THEN_FAIL, Mode.KILLED):
            way.complete()
        # Of a process that was killed the system closes all.
        error = way.breaks()
        raise self.kill() if mode is Mode.KILLED else error

    def _is_away(self, kind: Kind) -> bool:
        return kind in self._gone and clock.now() < self._back_at

    def _wrappers(self) -> Sequence[tuple[Any, str, Callable[..., Any]]]:
        dialect = self._engine.dialect
        return [
            *((dialect, name, self._saying(getattr(dialect, name))) for name in STATEMENTS),
            (dialect, "do_commit", self._ending(Kind.COMMIT, dialect.do_commit)),
            (dialect, "do_rollback", self._ending(Kind.ROLLBACK, dialect.do_rollback)),
            # The engine of PostgreSQL has connections of its own.
            *((each, "connect", self._connecting(each.connect)) for each in (dialect, Connection)),
            (Prepared, "rows", self._asking(Prepared.rows)),
            (AbstractConnection, "send_packed_command", self._commanding()),
            (AbstractConnection, "on_connect_check_health", self._shaking_hands()),
            (smtplib.SMTP, "connect", self._mailing(smtplib.SMTP.connect)),
            (smtplib.SMTP, "noop", self._mailing(smtplib.SMTP.noop)),
            (smtplib.SMTP, "sendmail", self._mailing(smtplib.SMTP.sendmail)),
            (HTTPConnection, "request", self._calling(HTTPConnection.request)),
        ]

    def _at_database(self, kind: Kind, connection: Any, do: Callable[[], Any]) -> Any:
        driver = driver_of(connection)
        opened = self._sessions.setdefault(id(driver), session_of(driver))
        return self.step(kind, Asked(kind.value, opened, do))

    def _saying(self, say: Callable[..., None]) -> Callable[..., None]:
        def wrapped(cursor: Any, *args: Any, **kwargs: Any) -> None:
            self._at_database(Kind.STATEMENT, cursor.connection, lambda: say(cursor, *args, **kwargs))

        return wrapped

    def _ending(self, kind: Kind, end: Callable[[Any], None]) -> Callable[[Any], None]:
        def wrapped(connection: Any) -> None:
            if session_of(driver_of(connection)).says(kind.value):
                self._at_database(kind, connection, lambda: end(connection))
            else:
                end(connection)

        return wrapped

    def _connecting(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if self._is_dead:
                raise Killed
            if self._is_away(Kind.STATEMENT):
                raise self._engine.dialect.loaded_dbapi.OperationalError("connection refused")
            return connect(*args, **kwargs)

        return wrapped

    def _asking(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(prepared: Prepared, text: str, values: Sequence[Any]) -> Any:
            return self._at_database(Kind.PREPARED, prepared._driver, lambda: ask(prepared, text, values))

        return wrapped

    def _commanding(self) -> Callable[..., None]:
        send: Any = AbstractConnection.send_packed_command

        def wrapped(connection: Any, command: Any, check_health: bool = True) -> None:
            # A handshake is part of the command for which there is a connection.
            if self._shakes_hands or not check_health:
                send(connection, command, check_health=check_health)
            else:
                self.step(Kind.REDIS, Commanded(connection, lambda: send(connection, command)))

        return wrapped

    def _shaking_hands(self) -> Callable[..., None]:
        begin: Any = AbstractConnection.on_connect_check_health

        def wrapped(connection: Any, *args: Any, **kwargs: Any) -> None:
            self._shakes_hands = True
            try:
                begin(connection, *args, **kwargs)
            finally:
                self._shakes_hands = False

        return wrapped

    def _mailing(self, do: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(host: smtplib.SMTP, *args: Any, **kwargs: Any) -> Any:
            return self.step(Kind.MAIL, Mailed(host, lambda: do(host, *args, **kwargs)))

        return wrapped

    def _calling(self, do: Callable[..., None]) -> Callable[..., None]:
        def wrapped(connection: HTTPConnection, *args: Any, **kwargs: Any) -> None:
            self.step(Kind.CALL, Called(connection, lambda: do(connection, *args, **kwargs)))

        return wrapped


STATEMENTS = ("do_execute", "do_execute_no_params", "do_executemany")
