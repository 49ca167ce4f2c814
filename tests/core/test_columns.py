"""Column types: what goes in comes out, alike on both databases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.accounts.models import User
from taskapi.core import clock
from taskapi.core.columns import UtcDateTime
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.core.ids import new_id
from tests.people import Person


def store(**values: object) -> Event:
    with transaction():
        event = Event(type="test", subject_type="test", subject_id=new_id(), **values)
        session().add(event)
    session().expire_all()
    return event


def test_a_time_is_kept_to_the_microsecond_and_comes_back_in_utc(context: Flask) -> None:
    moment = datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    event = store(created_at=moment)
    assert event.created_at == moment
    assert event.created_at.tzinfo is UTC


def test_a_time_without_an_offset_is_refused(context: Flask) -> None:
    with pytest.raises(sa.exc.StatementError, match="without an offset"):
        store(created_at=datetime(2026, 11, 20, 10))  # noqa: DTZ001 - that is the point


def test_times_sort_as_times_whatever_their_offset(context: Flask) -> None:
    early = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=9)))
    late = datetime(2026, 1, 1, 4, tzinfo=UTC)
    store(created_at=late)
    store(created_at=early)
    assert list(session().scalars(sa.select(Event.created_at).order_by(Event.created_at))) == [early, late]


@pytest.mark.parametrize("moment", [None, datetime(2026, 1, 1, tzinfo=UTC)])
def test_an_absent_time_stays_absent(context: Flask, moment: datetime | None) -> None:
    assert session().scalar(sa.select(sa.literal(moment, UtcDateTime()))) == moment


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True, "ü"]}, {}, None])
def test_json_comes_back_as_it_was(context: Flask, value: object) -> None:
    event = store(after=value)
    assert event.after == value
    assert session().scalar(sa.select(Event.after.is_(None))) == (value is None)


def test_a_change_moves_the_time_of_the_last_change_only(context: Flask, owner: Person) -> None:
    later = datetime(2027, 1, 1, tzinfo=UTC)
    with clock.use(lambda: later), transaction():
        user = session().get_one(User, owner.id)
        user.full_name = "Olivia"
    session().expire_all()
    assert user.updated_at == later
    assert user.created_at < later
