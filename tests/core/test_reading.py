"""Fast reads: on PostgreSQL by the driver alone, with the errors and the pool of the engine."""

import signal
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DBAPIError, OperationalError

from taskapi.core import read_at_once as reading_at_once
from taskapi.core.db import db, session, transaction
from taskapi.core.read_at_once import HeldConnection, read_at_once
from taskapi.core.reading import read
from tests.core.conftest import goes_on_sleeping
from tests.people import Person
from tests.tasks.making import make_task, path_of

pytestmark = pytest.mark.one_database("postgresql")


def doubled(factor: int) -> sa.Select[Any]:
    given = sa.bindparam("given", type_=sa.Integer())
    columns: list[sa.ColumnElement[Any]] = [given * factor, sa.literal("5 % of it"), given]
    return sa.select(*columns)


def divided() -> sa.Select[Any]:
    return sa.select(1 / sa.bindparam("given", type_=sa.Integer()))


def test_a_read_gives_the_same_inside_of_a_transaction_and_outside(app: Flask) -> None:
    with app.app_context():
        outside = [tuple(row) for row in read(doubled, 2, given=21)]
        with transaction():
            inside = [tuple(row) for row in read(doubled, 2, given=21)]
    assert outside == inside == [(42, "5 % of it", 21)]


def test_connections_that_broke_cost_a_reader_nothing(app: Flask, owner: Person) -> None:
    task = make_task(owner)
    with app.app_context(), db.engine.connect() as mine:
        with db.engine.connect() as first, db.engine.connect() as second:
            rested = [other.scalar(sa.select(sa.func.pg_backend_pid())) for other in (first, second)]
        mine.execute(sa.select(sa.func.pg_terminate_backend(sa.func.unnest(rested))))
        assert owner.get(path_of(task)).status_code == 200
    with app.app_context():
        # What is left of them is not the next test's, which repeats nothing as a request does.
        db.engine.dispose()


def test_what_the_database_refuses_is_raised_as_by_the_engine_and_spoils_nothing(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(DBAPIError) as refusal:
            read(divided, given=0)
        assert not refusal.value.connection_invalidated
        with transaction():
            driver: Any = session().connection().connection.driver_connection
            assert driver.autocommit is False
        assert [tuple(row) for row in read(divided, given=1)] == [(1,)]


def test_a_database_that_is_away_is_told_of_as_by_the_engine() -> None:
    engine = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(OperationalError):
        read_at_once(engine, divided, (), {"given": 1})


def slow() -> sa.Select[Any]:
    return sa.select(sa.cast(sa.func.pg_sleep(sa.bindparam("given", type_=sa.Integer())), sa.Text))


def test_a_reader_who_is_interrupted_leaves_no_answer_to_the_next_one(app: Flask) -> None:
    def interrupt(*_anything: object) -> None:
        raise KeyboardInterrupt

    earlier = signal.signal(signal.SIGALRM, interrupt)
    try:
        with app.app_context():
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                read(slow, given=5)
            assert [tuple(row) for row in read(divided, given=1)] == [(1,)]
            assert not goes_on_sleeping()
    finally:
        signal.signal(signal.SIGALRM, earlier)


def backend_of(held: HeldConnection) -> int:
    ((number,),) = held.rows(backend, (), {})
    return int(number)


def backend() -> sa.Select[Any]:
    return sa.select(sa.func.pg_backend_pid())


def test_a_connection_that_is_held_serves_one_statement_after_the_other_and_comes_back_as_it_was(
    app: Flask,
) -> None:
    with app.app_context():
        held = HeldConnection(db.engine)
        assert backend_of(held) == backend_of(held)
        assert db.engine.pool.checkedout() == 1  # type: ignore[attr-defined]
        held.give_back()
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        with transaction():
            driver: Any = session().connection().connection.driver_connection
            assert driver.autocommit is False


@pytest.mark.parametrize("rested", [0.0, 1.0])
def test_a_connection_that_broke_while_it_was_held_is_replaced(
    app: Flask, monkeypatch: pytest.MonkeyPatch, rested: float
) -> None:
    with app.app_context():
        held = HeldConnection(db.engine)
        broken = backend_of(held)
        with db.engine.connect() as other:
            other.execute(sa.select(sa.func.pg_terminate_backend(broken)))
        monkeypatch.setattr(reading_at_once, "RESTED_SECONDS", 60.0 - 120.0 * rested)
        if not rested:
            # Nobody asked whether it still stands: this one fails, as on any connection.
            with pytest.raises(OperationalError):
                backend_of(held)
        assert backend_of(held) != broken
        held.give_back()
        db.engine.dispose()
