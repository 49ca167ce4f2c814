"""POST /api/schedules"""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.people import Person
from tests.schedules.making import REMINDER, Time, make


def test_a_schedule_answers_with_its_defaults_and_location(owner: Person, time: Time) -> None:
    answer = owner.post("/api/schedules", {**REMINDER, "run_at": "2026-11-20T10:00:00+01:00"})
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/schedules/{answer.json['id']}"
    expected = {
        "run_at": "2026-11-20T09:00:00Z",
        "next_run_at": "2026-11-20T09:00:00Z",
        "catch_up": "latest",
        "catch_up_window": 86400.0,
        "catch_up_limit": 100,
        "overlap": "skip",
        "timeout": 300.0,
        "retry": {"max_attempts": 3, "delay": 10.0, "factor": 2.0, "max_delay": 3600.0},
        "dst": {"gap": "next_valid", "repeat": "first"},
        "notify": ["created", "completed", "failed"],
        "status": "active",
        "timezone": "UTC",
        "last_run": None,
    }
    assert {name: answer.json[name] for name in expected} == expected


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("trigger", "first"),
    [
        ({"cron": "30 8 * * mon-fri", "timezone": "Europe/Paris"}, "2026-11-23T07:30:00Z"),
        ({"cron": "0 12 * * *", "timezone": "America/New_York"}, "2026-11-20T17:00:00Z"),
        ({"every": 3600}, "2026-11-20T10:00:00Z"),
        ({"every": "PT15M"}, "2026-11-20T09:15:00Z"),
        ({"every": "P1D", "starts_at": "2026-11-25T06:00:00Z"}, "2026-11-25T06:00:00Z"),
        ({"every": "P1D", "starts_at": "2026-11-18T06:00:00Z"}, "2026-11-21T06:00:00Z"),
        ({"rrule": "FREQ=MONTHLY;BYDAY=1MO;BYHOUR=8", "timezone": "Europe/Paris"}, "2026-12-07T07:00:00Z"),
        ({"rrule": "freq=daily", "starts_at": "2026-11-18T06:00:00.5Z"}, "2026-11-21T06:00:01Z"),
        ({"every": "P1D", "exclude": ["2026-11-21"]}, "2026-11-22T09:00:00Z"),
        ({"every": "P1D", "exclude": ["2026-11-21T10:00:00+01:00"]}, "2026-11-22T09:00:00Z"),
    ],
)
def test_the_first_due_time_follows_the_trigger(
    owner: Person, time: Time, trigger: dict[str, Any], first: str
) -> None:
    schedule = make(owner, **trigger)
    assert schedule["next_run_at"] == first
    assert schedule["notify"] == ["created", "failed"]


@pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({}, "run_at", "Say when"),
        ({"run_at": "2026-11-20T10:00:00Z", "every": 60}, "every", "only one"),
        ({"run_at": "2026-11-20T08:59:59Z"}, "run_at", "past"),
        ({"run_at": "2026-11-20T10:00:00"}, "run_at", "offset"),
        ({"run_at": "tomorrow"}, "run_at", "RFC 3339"),
        ({"cron": "0 0 30 2 *"}, "cron", "day of month"),
        ({"cron": "* * * *"}, "cron", "5 fields"),
        ({"cron": "0 9 * * *", "timezone": "Europe/Pari"}, "timezone", "Did you mean Europe/Paris"),
        ({"every": 0.2}, "every", ""),
        ({"every": "P1M"}, "every", "vary"),
        ({"every": True}, "every", "duration"),
        ({"run_at": "2026-11-20T10:00:00Z", "ends_at": "2026-11-20T10:00:00Z"}, "run_at", "no due time"),
        ({"run_at": "2026-11-20T10:00:00Z", "starts_at": "2026-11-20T11:00:00Z"}, "run_at", "no due time"),
        ({"cron": "0 8 * * *", "ends_at": "2026-11-20T09:30:00Z"}, "ends_at", "no due time"),
        (
            {"every": 60, "starts_at": "2026-12-01T00:00:00Z", "ends_at": "2026-11-30T00:00:00Z"},
            "ends_at",
            "after",
        ),
        ({"rrule": "FREQ=DAILY;BYEASTER=1"}, "rrule", "BYEASTER is not a part"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "rrule", "no date fits it"),
        ({"rrule": "FREQ=DAILY;COUNT=1", "starts_at": "2026-01-01T00:00:00Z"}, "rrule", "no due time"),
        ({"rrule": "FREQ=DAILY", "cron": "0 9 * * *"}, "rrule", "only one"),
        ({"rrule": "FREQ=DAILY;\u0007"}, "rrule", "Control"),
        ({"every": 60, "exclude": ["2026-02-30"]}, "exclude.0", "no such day"),
        ({"every": 60, "exclude": ["2026-11-21T10:00:00"]}, "exclude.0", "offset"),
        ({"every": 60, "exclude": [20261121]}, "exclude.0", "Not a time"),
        ({"every": 60, "exclude": ["2026-11-21"] * 1001}, "exclude", ""),
        ({"every": 60, "jitter": -1}, "jitter", ""),
        ({"every": 60, "jitter": 86401}, "jitter", ""),
        ({"every": 60, "action": "remindr"}, None, "Did you mean 'reminder'"),
        ({"every": 60, "params": {}}, "params.message", "Missing"),
        ({"every": 60, "params": {"message": "x", "mesage": 1}}, "params.mesage", "Did you mean 'message'"),
        ({"every": 60, "params": {"message": "x", "to": "nobody"}}, "params.to", "email"),
        ({"every": 60, "catchup": "all"}, "catchup", "Did you mean 'catch_up'"),
        ({"every": 60, "catch_up": "none"}, "catch_up", ""),
        ({"every": 60, "retry": {"max_attempts": 0}}, "retry.max_attempts", ""),
        ({"every": 60, "notify": ["sometimes"]}, "notify.0", ""),
        ({"every": 60, "name": "two\nlines"}, "name", "Control"),
    ],
)
def test_bad_input_is_refused_in_words(
    owner: Person, time: Time, fields: dict[str, Any], where: str | None, words: str
) -> None:
    answer = owner.post("/api/schedules", {**REMINDER, **fields})
    assert answer.status_code == 422, answer.text
    if where is not None:
        assert where in answer.json["errors"], answer.json
    assert words in answer.json["detail"]


def test_a_rule_and_what_is_excluded_are_answered_as_they_were_sent(owner: Person, time: Time) -> None:
    rule = "RRULE:FREQ=WEEKLY;BYDAY=MO\nEXDATE;VALUE=DATE:20261221"
    schedule = make(owner, rrule=rule, exclude=["2026-12-28", "2027-01-04T10:00:00+01:00"], jitter="PT1M")
    assert (schedule["rrule"], schedule["cron"], schedule["jitter"]) == (rule, None, 60.0)
    assert schedule["exclude"] == ["2026-12-28", "2027-01-04T09:00:00Z"]


def test_a_bad_cron_line_has_its_own_code(owner: Person) -> None:
    answer = owner.post("/api/schedules", {**REMINDER, "cron": "0 25 * * *"})
    assert answer.json["code"] == "invalid_cron"


def test_enum_words_are_read_in_any_case(owner: Person) -> None:
    schedule = make(owner, every=60, catch_up="ALL", overlap="Allow", notify=["FAILED"])
    assert (schedule["catch_up"], schedule["overlap"], schedule["notify"]) == ("all", "allow", ["failed"])


def test_one_must_be_signed_in(client: FlaskClient) -> None:
    assert client.post("/api/schedules", json={**REMINDER, "every": 60}).status_code == 401


@pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)
def test_what_is_told_is_told_once(owner: Person) -> None:
    schedule = make(owner, every=60, notify=["FAILED", "created", "failed"])
    assert schedule["notify"] == ["failed", "created"]
