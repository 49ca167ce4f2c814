"""SQLite as the application sets it up: writers queue, readers never wait."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from tests.core.conftest import read_number, write_number


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2), ("busy_timeout", 15_000)],
)
def test_every_connection_is_prepared(on_sqlite: Flask, pragma: str, value: object) -> None:
    assert session().scalar(sa.text(f"PRAGMA {pragma}")) == value


def test_a_second_writer_waits_for_the_first(on_sqlite: Flask) -> None:
    first_writes, second_begins = threading.Event(), threading.Event()

    def second() -> int | None:
        first_writes.wait(10)
        second_begins.set()
        with on_sqlite.app_context(), transaction():
            value: int | None = session().scalar(sa.text("SELECT value FROM probe"))
            return value

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(second)
        with transaction():
            write_number(1, 10)
            first_writes.set()
            second_begins.wait(10)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
        assert waiting.result(timeout=10) == 10


def test_no_update_is_lost_between_many_writers(on_sqlite: Flask) -> None:
    with transaction():
        write_number(1, 0)

    def count(_turn: int) -> None:
        with on_sqlite.app_context(), transaction():
            write_number(1, (session().scalar(sa.text("SELECT value FROM probe")) or 0) + 1)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(20)))
    assert read_number(1) == 20


def test_a_reader_does_not_wait_for_a_writer(on_sqlite: Flask) -> None:
    with transaction():
        write_number(1, 10)
    with transaction():
        write_number(1, 11)
        assert read_number(1) == 10
