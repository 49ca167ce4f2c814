"""The database's clock, by which leases and due times are judged."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core import clock
from taskapi.core.db import database_now, read_database_clock, session

pytestmark = pytest.mark.usefixtures("context")


@pytest.mark.parametrize("offset", [0.0, 90.5, -3600.0, 1e6, 0.001])
def test_it_tells_the_time_plus_some_seconds(offset: float) -> None:
    before = datetime.now(UTC)
    told = session().execute(sa.select(database_now(offset))).scalar_one()
    # A database in another process may be a little behind or ahead; SQLite cuts to milliseconds.
    assert abs((told - before).total_seconds() - offset) < 2
    assert told.tzinfo is not None


def test_an_offset_is_kept_to_the_millisecond() -> None:
    near, far = session().execute(sa.select(database_now(0), database_now(0.25))).one()
    assert (far - near).total_seconds() == pytest.approx(0.25, abs=0.0011)


def test_under_a_virtual_clock_it_tells_the_virtual_time() -> None:
    moment = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
    with clock.use(lambda: moment):
        assert read_database_clock() == moment
        assert session().execute(sa.select(database_now(-5))).scalar_one() == moment - timedelta(seconds=5)


def test_it_can_be_compared_with_a_stored_time() -> None:
    later = sa.literal(clock.now() + timedelta(minutes=1), database_now().type)
    assert session().scalar(sa.select((later > database_now()) & (later < database_now(120)))) == 1


def test_it_never_runs_ahead_of_the_machine(context: Flask) -> None:
    told = read_database_clock()
    assert told <= datetime.now(UTC)
