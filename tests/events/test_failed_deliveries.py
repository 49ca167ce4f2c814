"""A subscriber that fails for an event: others go on, and it is tried again until it succeeds."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from taskapi.core import clock, events
from taskapi.core.db import session, transaction
from taskapi.core.events import Event, record_event
from taskapi.events.models import FailedDelivery
from taskapi.events.service import relay_events
from tests.events.conftest import Subscribe

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Flaky:
    """A subscriber that raises until it is mended."""

    def __init__(self, message: str = "out of order") -> None:
        self.broken = True
        self.calls = 0
        self._message = message

    def __call__(self, event: Event) -> None:
        self.calls += 1
        if self.broken:
            raise ValueError(self._message)


@pytest.fixture
def flaky(on: Subscribe) -> Flaky:
    subscriber = Flaky()
    on("*", subscriber)
    return subscriber


def record() -> UUID:
    with transaction():
        return record_event("task.created", subject=("task", uuid4())).subject_id


def relay_at(moment: datetime) -> None:
    with clock.use(lambda: moment):
        relay_events()


def failures() -> list[FailedDelivery]:
    found = list(session().scalars(sa.select(FailedDelivery)))
    session().rollback()
    return found


def test_others_and_later_events_are_not_held_up(flaky: Flaky, on: Subscribe) -> None:
    told: list[UUID] = []
    on("*", lambda event: told.append(event.subject_id))
    first, second = record(), record()
    relay_at(NOON)
    assert told == [first, second]
    assert flaky.calls == 2


def test_a_failure_is_kept_with_its_reason_and_logged_with_its_traceback(flaky: Flaky) -> None:
    record()
    with capture_logs() as lines:
        relay_at(NOON)
    (failure,) = failures()
    assert (failure.subscriber, failure.error) == ("test.0", "ValueError: out of order")
    assert [line["exc_info"] for line in lines if line["event"] == "event.delivery_failed"] == [True]


def test_who_fails_to_say_whether_it_is_concerned_is_asked_again(on: Subscribe) -> None:
    told: list[UUID] = []
    broken = [True]

    def concerns(_event: Event) -> bool:
        if broken[0]:
            raise ValueError("out of order")
        return True

    events.subscribe("picky", "*", lambda event: told.append(event.subject_id), concerns=concerns)
    first = record()
    relay_at(NOON)
    assert told == []
    broken[0] = False
    relay_at(NOON + timedelta(minutes=1))
    assert (told, failures()) == ([first], [])


@pytest.mark.one_database("postgresql")
def test_a_connection_that_breaks_is_no_fault_of_a_subscriber(on: Subscribe) -> None:
    told: list[UUID] = []
    breaks = [True]

    def tell(event: Event) -> None:
        if breaks[0]:
            session().execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
        told.append(event.subject_id)

    on("*", tell)
    first = record()
    with capture_logs() as lines, pytest.raises(DBAPIError) as error:
        relay_at(NOON)
    assert error.value.connection_invalidated
    assert lines == []
    breaks[0] = False
    relay_at(NOON)
    assert (told, failures()) == ([first], [])


def test_a_failed_delivery_is_tried_again_after_growing_pauses(flaky: Flaky) -> None:
    record()
    moment, pauses = NOON, []
    for _ in range(12):
        relay_at(moment)
        (failure,) = failures()
        pauses.append((failure.retry_at - moment).total_seconds())
        moment = failure.retry_at
    assert pauses[:4] == [5, 10, 20, 40]
    assert pauses[-2:] == [3600, 3600]
    assert flaky.calls == 12


def test_nothing_is_tried_before_the_pause_is_over(flaky: Flaky) -> None:
    record()
    relay_at(NOON)
    relay_at(NOON + timedelta(seconds=4.9))
    assert flaky.calls == 1


def test_once_it_succeeds_it_is_told_no_more(flaky: Flaky) -> None:
    record()
    relay_at(NOON)
    flaky.broken = False
    for minutes in (1, 2, 3):
        relay_at(NOON + timedelta(minutes=minutes))
    assert flaky.calls == 2
    assert failures() == []


def test_what_a_failing_subscriber_wrote_is_undone(on: Subscribe) -> None:
    def write_and_fail(event: Event) -> None:
        if event.type == "task.created":
            record_event("notification.created", subject=("notification", uuid4()))
            session().flush()
            raise ValueError

    on("*", write_and_fail)
    record()
    relay_at(NOON)
    types = session().scalars(sa.select(Event.type).order_by(Event.position)).all()
    assert types == ["task.created"]


@pytest.mark.parametrize("message", ["a\x00b", "a\ud800b", "x" * 10_000])
def test_whatever_the_error_says_the_relay_goes_on(on: Subscribe, message: str) -> None:
    on("*", Flaky(message))
    record()
    relay_at(NOON)
    (failure,) = failures()
    assert failure.error.startswith("ValueError: ")
    assert len(failure.error) <= 2000


def test_a_failure_of_a_subscriber_that_is_no_more_is_dropped(flaky: Flaky) -> None:
    record()
    relay_at(NOON)
    events._subscribers.clear()
    relay_at(NOON + timedelta(minutes=1))
    assert failures() == []


def test_an_error_in_the_database_spoils_only_the_subscriber_that_made_it(
    on: Subscribe, context: Flask
) -> None:
    told: list[UUID] = []
    on("*", lambda event: session().execute(sa.text("SELECT * FROM no_such_table")).close())
    on("*", lambda event: told.append(event.subject_id))
    subject = record()
    relay_at(NOON)
    assert told == [subject]
    assert len(failures()) == 1
