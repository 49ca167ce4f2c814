"""How each kind of client does a step, and what it says of a server that broke or hangs."""

import smtplib
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as AnswerTimedOut
from urllib3.connection import HTTPConnection

from tests.schedules.faults.drivers import SessionOfDatabase

Do = Callable[[], Any]


class Way(Protocol):
    """One step, and what becomes of it when that goes wrong."""

    def do(self) -> Any:
        """As if nothing goes wrong."""

    def complete(self) -> None:
        """Do it, and let nobody hear the answer."""

    def breaks(self) -> Exception:
        """The connection is lost; what the client says then."""

    def hangs(self) -> Exception:
        """No answer comes; what the client, or the server, says in the end."""

    def undo(self) -> Any:
        """Do it, and have the connection break before the commit, if that comes after the answer.

        Raises:
            Exception: what the client says of it.
        """


class Unanswered(ABC):
    """A way on which all is done when the answer comes: what breaks before that undoes it."""

    def undo(self) -> Any:
        raise self.breaks()

    @abstractmethod
    def breaks(self) -> Exception:
        """As of every way."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A database is asked something, or told to commit."""

    word: str
    opened: SessionOfDatabase
    do: Do

    def complete(self) -> None:
        self.do()

    def breaks(self) -> Exception:
        return self.opened.lose()

    def hangs(self) -> Exception:
        return self.opened.time_out(self.word)

    def undo(self) -> Any:
        return self.opened.undo(self.word, self.do)


@dataclass(frozen=True, slots=True)
class Commanded(Unanswered):
    """Redis is sent a command, or a pipeline of them."""

    connection: Any
    do: Do

    def complete(self) -> None:
        self.do()
        # Redis does all that came together before it answers the first of it.
        with suppress(ResponseError):
            self.connection.read_response()

    def breaks(self) -> Exception:
        self.connection.disconnect()
        return Disconnected("Connection closed by server.")

    def hangs(self) -> Exception:
        # A server that was stopped does later what lies in its buffer.
        self.complete()
        self.connection.disconnect()
        return AnswerTimedOut("Timeout reading from socket")


@dataclass(frozen=True, slots=True)
class Mailed(Unanswered):
    """A mail server is connected to, asked whether it is there, or given a message."""

    host: smtplib.SMTP
    do: Do

    def complete(self) -> None:
        self.do()

    def breaks(self) -> Exception:
        self.host.close()
        return smtplib.SMTPServerDisconnected("Connection unexpectedly closed")

    def hangs(self) -> Exception:
        self.host.close()
        return TimeoutError("timed out")


@dataclass(frozen=True, slots=True)
class Called(Unanswered):
    """Somebody is called over HTTP."""

    connection: HTTPConnection
    do: Do

    def complete(self) -> None:
        self.do()
        self.connection.getresponse().read()

    def breaks(self) -> Exception:
        self.connection.close()
        return ConnectionResetError(104, "Connection reset by peer")

    def hangs(self) -> Exception:
        # Who is called may well have heard it.
        self.complete()
        self.connection.close()
        return TimeoutError("timed out")
