"""A plain date where a bound is asked for means that whole day in the caller's time zone."""

from datetime import UTC, datetime

import pytest
from flask import Flask, g
from marshmallow import ValidationError

from taskapi.core.schemas import Bound
from tests.people import Person, make_person
from tests.schedules.making import Time, at, make

pytestmark = pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)


@pytest.fixture
def parisian(app: Flask) -> Person:
    return make_person(app, "paula@example.org", timezone="Europe/Paris")


def names(person: Person, **query: str) -> list[str]:
    answer = person.get("/api/schedules", query_string={"sort": "next_run_at", **query})
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json["items"]]


@pytest.fixture
def around_a_day(parisian: Person) -> Person:
    """Schedules due at the edges of 1 December in Paris, which is UTC+1 then."""
    with Time(at("2026-11-20 09:00")).running():
        for name, moment in {
            "eve": "2026-11-30T22:59:59Z",
            "first": "2026-11-30T23:00:00Z",
            "last": "2026-12-01T22:59:59Z",
            "next": "2026-12-01T23:00:00Z",
        }.items():
            make(parisian, name=name, run_at=moment)
    return parisian


def test_both_bounds_include_the_day(around_a_day: Person) -> None:
    assert names(around_a_day, next_after="2026-12-01", next_before="2026-12-01") == ["first", "last"]
    assert names(around_a_day, next_before="2026-11-30") == ["eve"]
    assert names(around_a_day, next_after="2026-12-02") == ["next"]


def test_a_time_is_meant_exactly(around_a_day: Person) -> None:
    assert names(around_a_day, next_after="2026-12-01T22:59:59Z") == ["last", "next"]
    assert names(around_a_day, next_before="2026-12-01T22:59:59Z") == ["eve", "first"]


def test_the_day_of_a_preview_begins_at_its_midnight(parisian: Person) -> None:
    body = {"cron": "0 0 * * *", "timezone": "Europe/Paris", "n": 1, "after": "2026-12-01"}
    (first,) = parisian.post("/api/schedules/preview", body).json["items"]
    assert first["local"] == "2026-12-01T00:00:00+01:00"


@pytest.mark.parametrize("text", ["2026-02-30", "2026-13-01", "0000-02-30", "2026-1-1", "20261201"])
def test_a_day_that_is_none_is_refused(parisian: Person, text: str) -> None:
    answer = parisian.get("/api/schedules", query_string={"next_before": text})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["next_before"])


@pytest.mark.parametrize(
    "text", ["9999-12-31", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "0000-01-01"]
)
def test_a_bound_may_lie_beyond_all_times(around_a_day: Person, text: str) -> None:
    assert len(names(around_a_day, next_before=text) + names(around_a_day, next_after=text)) == 4


def test_a_midnight_that_the_clocks_leave_out_is_the_moment_the_day_begins(app: Flask) -> None:
    """Chile went to summer time at midnight of 6 September 2026: that day began at one o'clock."""
    person = make_person(app, "camila@example.org", timezone="America/Santiago")
    with app.test_request_context():
        g.actor = person.actor
        assert Bound().deserialize("2026-09-06") == datetime(2026, 9, 6, 4, tzinfo=UTC)
        with pytest.raises(ValidationError):
            Bound().deserialize(20260906)
