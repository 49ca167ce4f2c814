"""A transaction that only inserts: on PostgreSQL one statement, on SQLite as ever."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError

from taskapi.core.db import db, on_commit, savepoint, session, transaction
from taskapi.core.errors import Conflict, OutcomeUnknown
from taskapi.core.prepared import Prepared
from taskapi.core.together import insert_later, require
from tests.core.conftest import goes_on_sleeping, read_number, write_number

PROBE = sa.table("probe", sa.column("key", sa.Integer), sa.column("value", sa.Integer))


def put(place: str) -> sa.Insert:
    """An insert whose parameters are named after ``place``."""
    key, value = (sa.bindparam(f"{place}_{name}", type_=sa.Integer()) for name in ("key", "value"))
    return sa.insert(PROBE).values(key=key, value=value).inline()


def found(number: int) -> sa.Select[Any]:
    keys = [sa.bindparam(f"wanted_{place}", type_=sa.Integer()) for place in range(number)]
    return sa.select(PROBE.c.key).where(PROBE.c.key.in_(keys)).with_for_update(read=True)


def put_later(place: str, key: int, value: int) -> None:
    insert_later(put, place, row={f"{place}_key": key, f"{place}_value": value})


def do(*steps: Callable[[], object]) -> None:
    """A transaction of these steps."""
    with transaction():
        for step in steps:
            step()


def do_in_savepoint(*steps: Callable[[], object]) -> None:
    with savepoint():
        for step in steps:
            step()


def give_up() -> None:
    raise Conflict


def refuse(rows: Sequence[Sequence[Any]]) -> None:
    raise Conflict(f"{len(rows)} of them")


@contextmanager
def statements() -> Iterator[list[str]]:
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        sent.append(statement.split()[0])

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)


def test_what_waits_is_there_after_the_commit(probe: Flask) -> None:
    with transaction():
        put_later("a", 1, 10)
        put_later("b", 2, 20)
    assert (read_number(1), read_number(2)) == (10, 20)


def test_all_of_it_is_one_statement_without_a_transaction_around(on_postgresql: Flask) -> None:
    with statements() as sent, transaction():
        put_later("a", 1, 10)
        put_later("b", 2, 20)
    assert sent == ["WITH"]
    with db.engine.connect() as connection:
        written = connection.exec_driver_sql("SELECT count(DISTINCT xmin::text) FROM probe").scalar()
    assert written == 1


def test_who_asks_meanwhile_sees_it(probe: Flask) -> None:
    with transaction():
        put_later("a", 1, 10)
        assert session().scalar(sa.select(PROBE.c.value)) == 10
        put_later("b", 2, 20)
        write_number(3, 30)
    assert [read_number(key) for key in (1, 2, 3)] == [10, 20, 30]


def test_the_same_insert_may_come_twice(probe: Flask) -> None:
    with transaction():
        put_later("a", 1, 10)
        put_later("a", 2, 20)
    assert (read_number(1), read_number(2)) == (10, 20)


def test_an_error_in_the_block_leaves_nothing(probe: Flask) -> None:
    with pytest.raises(Conflict):
        do(lambda: put_later("a", 1, 10), give_up)
    assert read_number(1) is None


def test_what_the_database_refuses_undoes_all_and_calls_no_hook(probe: Flask) -> None:
    called: list[int] = []
    with transaction():
        write_number(1, 1)
    with pytest.raises(IntegrityError):
        do(
            lambda: on_commit(called.append, 1),
            lambda: put_later("a", 2, 20),
            lambda: put_later("b", 1, 10),
        )
    assert (read_number(1), read_number(2), called) == (1, None, [])
    with transaction():
        put_later("a", 2, 20)
    assert read_number(2) == 20


@pytest.mark.parametrize("is_asked_meanwhile", [False, True])
def test_what_is_required_and_does_not_hold_is_judged(probe: Flask, is_asked_meanwhile: bool) -> None:
    with transaction():
        write_number(7, 0)
    ask = [lambda: session().scalar(sa.select(PROBE.c.key))] if is_asked_meanwhile else []
    with pytest.raises(Conflict, match="1 of them"):
        do(
            lambda: require(found, 2, number=2, judge=refuse, wanted_0=7, wanted_1=8),
            lambda: put_later("a", 1, 10),
            *ask,
        )
    assert read_number(1) is None


def test_what_is_required_is_looked_for_in_the_same_statement(on_postgresql: Flask) -> None:
    with transaction():
        write_number(7, 0)
    with statements() as sent, transaction():
        require(found, 1, number=1, judge=refuse, wanted_0=7)
        put_later("a", 1, 10)
    assert sent == ["WITH"]
    assert read_number(1) == 10


def test_what_holds_again_when_it_is_judged_is_written(on_postgresql: Flask) -> None:
    judged: list[Any] = []

    def make_up_for(rows: Sequence[Sequence[Any]]) -> None:
        judged.append(rows)

    with transaction():
        require(found, 1, number=1, judge=make_up_for, wanted_0=7)
        put_later("a", 1, 10)
    assert len(judged) == 1
    assert read_number(1) == 10


def test_it_waits_for_who_changes_what_is_required(on_postgresql: Flask) -> None:
    with transaction():
        write_number(7, 0)
    outcome: list[object] = []

    def work() -> None:
        with on_postgresql.app_context():
            try:
                with transaction():
                    require(found, 1, number=1, judge=refuse, wanted_0=7)
                    put_later("a", 1, 10)
            except Conflict as error:
                outcome.append(error)

    with db.engine.begin() as other:
        other.exec_driver_sql("DELETE FROM probe WHERE key = 7")
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(10)
    assert len(outcome) == 1
    assert read_number(1) is None


def test_a_savepoint_that_fails_forgets_what_waits_in_it_alone(probe: Flask) -> None:
    with transaction():
        put_later("a", 1, 10)
        with pytest.raises(Conflict):
            do_in_savepoint(lambda: put_later("b", 2, 20), give_up)
        with savepoint():
            put_later("c", 3, 30)
    assert [read_number(key) for key in (1, 2, 3)] == [10, None, 30]


def test_a_savepoint_says_what_waits_in_it(probe: Flask) -> None:
    with transaction():
        write_number(1, 1)
    with transaction():
        with pytest.raises(IntegrityError):
            do_in_savepoint(lambda: put_later("a", 1, 10))
        put_later("b", 2, 20)
    assert (read_number(1), read_number(2)) == (1, 20)


def end_my_connection() -> None:
    driver: Any = session().connection().connection.driver_connection
    with db.engine.begin() as other:
        other.exec_driver_sql(f"SELECT pg_terminate_backend({driver.info.backend_pid}, 5000)")


def test_a_connection_that_is_gone_is_noticed_before_anything_is_said(on_postgresql: Flask) -> None:
    with pytest.raises(OperationalError) as refusal:
        do(lambda: put_later("a", 1, 10), end_my_connection)
    # So the work may be done again (``core/repeating``).
    assert refusal.value.connection_invalidated
    with transaction():
        put_later("a", 1, 10)
    assert read_number(1) == 10


def put_slowly(place: str) -> sa.Insert:
    key = sa.bindparam(f"{place}_key", type_=sa.Integer())
    return sa.insert(PROBE).from_select(["key"], sa.select(key).where(sa.func.pg_sleep(5).is_not(None)))


def test_who_is_interrupted_writes_nothing_and_leaves_no_answer_to_the_next_one(on_postgresql: Flask) -> None:
    def interrupt(*_anything: object) -> None:
        raise KeyboardInterrupt

    earlier = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            do(lambda: insert_later(put_slowly, "a", row={"a_key": 1}))
    finally:
        signal.signal(signal.SIGALRM, earlier)
    assert not goes_on_sleeping()
    assert read_number(1) is None
    do(lambda: put_later("b", 2, 20))
    assert read_number(2) == 20


def test_whether_it_is_written_is_unknown_when_the_connection_breaks(
    on_postgresql: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Prepared, "stands", lambda _prepared: True)
    with pytest.raises(OutcomeUnknown):
        do(lambda: put_later("a", 1, 10), end_my_connection)
    with transaction():
        put_later("a", 1, 10)
    assert read_number(1) == 10
