"""What takes the database too long is no schedule's fault: it comes soon again, and none is set aside."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from structlog.testing import capture_logs

from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event
from taskapi.schedules.engine.apart import HELD_UP
from taskapi.schedules.engine.dispatch import dispatch_batch
from taskapi.schedules.models import Schedule
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.work import dispatch_all

pytestmark = pytest.mark.one_database("postgresql")

# As the thirty seconds that a statement has, and what takes longer.
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
PERFORM pg_sleep(5); RETURN NEW;
END $$
"""


@contextmanager
def short_of_time() -> Iterator[None]:
    """Inside the block a statement has a fifth of a second."""

    def limit(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 200")

    session().rollback()
    sa.event.listen(db.engine, "begin", limit)
    try:
        yield
    finally:
        sa.event.remove(db.engine, "begin", limit)


def set_aside() -> int | None:
    return session().scalar(sa.select(sa.func.count()).where(Event.type == "schedule.set_aside"))


def aside_until() -> list[Any]:
    session().rollback()
    return sorted(filter(None, session().scalars(sa.select(Schedule.set_aside_until))))


def test_a_table_that_somebody_holds_sets_no_schedule_aside(
    context: Flask, owner: Person, time: Time
) -> None:
    schedules = [make(owner, every=600) for _ in range(4)]
    time.pass_(seconds=600)
    with db.engine.connect() as other:
        other.execute(sa.text("LOCK TABLE runs IN SHARE MODE"))
        with capture_logs() as lines, short_of_time():
            dispatch_batch()
            dispatch_batch()
        other.rollback()
    told = [line["event"] for line in lines]
    assert told == ["dispatch.batch_failed", "dispatch.schedule_held_up"] * 2
    # The others were not so much as tried, and what was tried comes soon.
    assert aside_until() == [time.now + HELD_UP] * 2
    dispatch_all()
    assert [len(runs_of(owner, schedule)) for schedule in schedules].count(1) == 2
    time.now += HELD_UP
    dispatch_all()
    assert [len(runs_of(owner, schedule)) for schedule in schedules] == [1] * 4
    assert set_aside() == 0
    assert aside_until() == []
    assert {owner.get(f"/api/schedules/{schedule['id']}").json["fault"] for schedule in schedules} == {None}


def test_a_schedule_that_takes_too_long_holds_up_none_but_itself(
    context: Flask, owner: Person, time: Time
) -> None:
    slow, *others = (make(owner, every=600) for _ in range(3))
    with transaction():
        session().execute(sa.text(SLOW))
        of_one = f"BEFORE INSERT ON runs FOR EACH ROW WHEN (NEW.schedule_id = '{slow['id']}')"
        session().execute(sa.text(f"CREATE TRIGGER slow {of_one} EXECUTE FUNCTION slow()"))
    try:
        time.pass_(seconds=600)
        with short_of_time():
            dispatch_all()
        assert [len(runs_of(owner, other)) for other in others] == [1, 1]
        assert "took too long" in owner.get(f"/api/schedules/{slow['id']}").json["fault"]
    finally:
        with transaction():
            session().execute(sa.text("DROP FUNCTION slow CASCADE"))
    assert runs_of(owner, slow) == []
    time.now += HELD_UP - timedelta(seconds=1)
    dispatch_all()
    assert runs_of(owner, slow) == []
    time.pass_(seconds=1)
    dispatch_all()
    assert len(runs_of(owner, slow)) == 1
    assert set_aside() == 0


def test_it_waits_from_when_it_was_held_up_and_not_from_before(context: Flask, owner: Person) -> None:
    """A clock that stands still in a transaction would let it be due again as soon as that has ended."""
    make(owner, run_at=(datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    sleep(1.1)
    with db.engine.connect() as other, short_of_time():
        other.execute(sa.text("LOCK TABLE runs IN SHARE MODE"))
        begun = datetime.now(UTC)
        assert dispatch_batch() == 1
        other.rollback()
    (until,) = aside_until()
    # Together it took a fifth of a second, and another by itself.
    assert until - begun >= HELD_UP + timedelta(seconds=0.39)
