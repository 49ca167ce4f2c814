"""How a connection to either database breaks, and what its driver says then."""

import sqlite3
from collections.abc import Callable
from typing import Any, Protocol

import psycopg
from psycopg import errors
from psycopg.pq import ConnStatus, TransactionStatus

# A statement begins a transaction, where there is none; a prepared one is one by itself.
STATEMENT, PREPARED, COMMIT, ROLLBACK = "statement", "prepared", "commit", "rollback"
ENDS = (COMMIT, ROLLBACK)
# What PostgreSQL says, and does to the transaction, when a statement takes too long.
TAKE_TOO_LONG = b"""
    DO $$ BEGIN RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014'; END $$
"""

REFUSE_COMMITS, TAKE_COMMITS = b"SET faults.refuse = 'on'", b"RESET faults.refuse"
# For runs, as no statement that is a transaction by itself writes anything without a run. The server lives
# on: of one that ends here the driver would mostly hear before it has read the rows.
MAY_REFUSE = """
    CREATE FUNCTION refuse_commit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'terminating connection' USING ERRCODE = '57P01'; END $$;
    CREATE CONSTRAINT TRIGGER refuses_commit AFTER INSERT OR UPDATE ON runs DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (current_setting('faults.refuse', true) = 'on') EXECUTE FUNCTION refuse_commit();
"""
NEVER_REFUSES = "DROP FUNCTION refuse_commit CASCADE"


class SessionOfDatabase(Protocol):
    """A driver's connection, as the database sees it."""

    def says(self, word: str) -> bool:
        """Whether a COMMIT or ROLLBACK would be sent: without a transaction it is not."""

    def cut(self) -> None:
        """End the connection, and with it what was not committed."""

    def lose(self) -> Exception:
        """The connection broke; what the driver says of it."""

    def time_out(self, word: str) -> Exception:
        """The time limit of what was asked is over; what the driver says of it."""

    def undo(self, word: str, do: Callable[[], Any]) -> Any:
        """Ask, and have the connection break after the answer and before the commit, if that comes then.

        Raises:
            Exception: what the driver says of it.
        """


def driver_of(connection: Any) -> Any:
    """The driver's connection in the pool's wrapper, or itself."""
    return getattr(connection, "driver_connection", connection)


def session_of(driver: Any) -> SessionOfDatabase:
    return _OnSqlite(driver) if isinstance(driver, sqlite3.Connection) else _OnPostgresql(driver)


class _OnPostgresql:
    def __init__(self, driver: "psycopg.Connection[Any]") -> None:
        self._driver, self._pgconn = driver, driver.pgconn

    def says(self, word: str) -> bool:
        return self._pgconn.status == ConnStatus.OK and not self._is(TransactionStatus.IDLE)

    def cut(self) -> None:
        if self._pgconn.status == ConnStatus.OK:
            # PostgreSQL does so when it notices; here nobody shall wait for that.
            if not self._is(TransactionStatus.IDLE):
                self._pgconn.exec_(b"ROLLBACK")
            self._pgconn.finish()

    def lose(self) -> Exception:
        self.cut()
        return psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly")

    def time_out(self, word: str) -> Exception:
        if word in ENDS or self._pgconn.status != ConnStatus.OK:
            return self.lose()
        if word == STATEMENT and self._is(TransactionStatus.IDLE) and not self._driver.autocommit:
            self._pgconn.exec_(b"BEGIN")
        return errors.error_from_result(self._pgconn.exec_(TAKE_TOO_LONG))

    def undo(self, word: str, do: Callable[[], Any]) -> Any:
        if not self._is_one_by_itself(word):
            raise self.lose()
        self._pgconn.exec_(REFUSE_COMMITS)
        try:
            # Who believes rows that came before the error has them; without a commit nothing goes wrong.
            answer = do()
        except psycopg.Error:
            raise self.lose() from None
        self._pgconn.exec_(TAKE_COMMITS)
        return answer

    def _is_one_by_itself(self, word: str) -> bool:
        begins_none = word == PREPARED or (word == STATEMENT and self._driver.autocommit)
        return begins_none and self._is(TransactionStatus.IDLE)

    def _is(self, status: TransactionStatus) -> bool:
        return self._pgconn.transaction_status == status


class _OnSqlite:
    """A file: what breaks is a write to it, and the driver goes on with the connection."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver

    def says(self, word: str) -> bool:
        # To forget what was not written needs nobody else.
        return word == COMMIT and self._driver.in_transaction

    def cut(self) -> None:
        self._driver.rollback()
        self._driver.close()

    def lose(self) -> Exception:
        return sqlite3.OperationalError("disk I/O error")

    def time_out(self, word: str) -> Exception:
        return sqlite3.OperationalError("database is locked")

    def undo(self, word: str, do: Callable[[], Any]) -> Any:
        # Whoever reads rows here knows that they are written.
        raise self.lose()
