"""Connections to PostgreSQL that do not wait for ever for a server that keeps them open and says nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from psycopg import errors

# A statement that runs longer is a bug or an attack, and a server that is well ends it; migrations lift the
# limit for themselves.
STATEMENT_TIMEOUT_MS = 30_000
LONGEST_WAIT_SECONDS = STATEMENT_TIMEOUT_MS / 1000 + 5.0


class NoAnswer(psycopg.OperationalError):
    """The server keeps the connection, and says nothing: whoever asks once more waits as long again."""


class Connection(psycopg.Connection[Any]):
    """A connection that is closed if it waits for too long: nobody knows then where it stands.

    Attributes:
        longest_wait: seconds that an answer may take; None for any time.
    """

    longest_wait: float | None = LONGEST_WAIT_SECONDS

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As the driver does, and no longer than ``longest_wait``."""
        if timeout is not None or self.longest_wait is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.longest_wait)
        except errors._WaitTimeout:
            raise self.given_up() from None

    @property
    def longest_wait_ms(self) -> float | None:
        """The same in milliseconds."""
        return None if self.longest_wait is None else self.longest_wait * 1000

    def given_up(self) -> NoAnswer:
        """Close the connection, and say why."""
        self.pgconn.finish()
        return NoAnswer(f"the database gave no answer within {self.longest_wait:g} s")


@contextmanager
def waiting_for_ever(connection: sa.Connection) -> Iterator[None]:
    """Let statements take as long as they take, on a connection whose server was told that they may."""
    driver = cast(Connection, connection.connection.driver_connection)
    driver.longest_wait = None
    try:
        yield
    finally:
        driver.longest_wait = LONGEST_WAIT_SECONDS
