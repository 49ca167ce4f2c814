"""POST /api/schedules/preview and GET /api/schedules/{id}/preview"""

from typing import Any

import pytest
from flask import Flask

from tests.people import Person
from tests.schedules.making import Time, make
from tests.work import tick


def test_the_next_fire_times_are_shown_in_utc_and_on_the_wall(owner: Person, time: Time) -> None:
    body = {"cron": "30 2 * * *", "timezone": "Europe/Paris", "after": "2026-10-23T12:00:00Z", "n": 2}
    answer = owner.post("/api/schedules/preview", body)
    assert answer.status_code == 200
    assert answer.json["items"] == [
        {"utc": "2026-10-24T00:30:00Z", "local": "2026-10-24T02:30:00+02:00", "note": None},
        {
            "utc": "2026-10-25T00:30:00Z",
            "local": "2026-10-25T02:30:00+02:00",
            "note": "02:30 comes twice on this day: the first",
        },
    ]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("body", "first", "count"),
    [
        ({"every": 60}, "2026-11-20T09:01:00Z", 10),
        ({"every": 60, "starts_at": "2026-11-20T12:00:00Z"}, "2026-11-20T12:00:00Z", 10),
        ({"every": 60, "ends_at": "2026-11-20T09:02:00Z"}, "2026-11-20T09:01:00Z", 1),
        ({"run_at": "2026-11-20T12:00:00Z"}, "2026-11-20T12:00:00Z", 1),
        ({"cron": "0 9 * * *", "n": 3}, "2026-11-20T09:00:00Z", 3),
    ],
)
def test_it_begins_at_the_start_or_now(
    owner: Person, time: Time, body: dict[str, Any], first: str, count: int
) -> None:
    items = owner.post("/api/schedules/preview", body).json["items"]
    assert (items[0]["utc"], len(items)) == (first, count)


def test_a_bad_line_is_refused_in_words(owner: Person) -> None:
    answer = owner.post("/api/schedules/preview", {"cron": "0 0 31 2 *"})
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_cron")


def test_a_rule_is_shown_without_what_is_excluded(owner: Person, time: Time) -> None:
    body = {
        "rrule": "FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0\nEXDATE;VALUE=DATE:20260330",
        "exclude": ["2026-04-01", "2026-04-02T02:30:00+02:00"],
        "jitter": "PT10M",
        "timezone": "Europe/Paris",
        "after": "2026-03-28T12:00:00Z",
        "starts_at": "2026-01-01T00:00:00Z",
        "n": 3,
    }
    items = owner.post("/api/schedules/preview", body).json["items"]
    assert [(item["local"], item["note"]) for item in items] == [
        ("2026-03-29T03:00:00+02:00", "02:30 does not exist on this day"),
        ("2026-03-31T02:30:00+02:00", None),
        ("2026-04-03T02:30:00+02:00", None),
    ]


def test_a_bad_rule_is_refused_in_words(owner: Person) -> None:
    answer = owner.post("/api/schedules/preview", {"rrule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"})
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_rrule")
    assert answer.json["errors"] == {"rrule": ["This rule never comes: no date fits it."]}


def test_a_saved_schedule_previews_what_is_to_come(owner: Person, time: Time) -> None:
    schedule = make(owner, every=60)
    time.pass_(seconds=90)
    path = f"/api/schedules/{schedule['id']}/preview"
    assert owner.get(path, query_string={"n": 1}).json["items"][0]["utc"] == "2026-11-20T09:02:00Z"
    assert len(owner.get(path).json["items"]) == 10
    assert owner.get(path, query_string={"n": 0}).status_code == 422


def test_a_cancelled_schedule_has_nothing_to_come(owner: Person) -> None:
    schedule = make(owner, every=60)
    owner.post(f"/api/schedules/{schedule['id']}/cancel")
    assert owner.get(f"/api/schedules/{schedule['id']}/preview").json["items"] == []


def test_what_is_to_come_can_be_read_in_pages(owner: Person, time: Time) -> None:
    path = f"/api/schedules/{make(owner, every=60)['id']}/preview"
    page = owner.get(f"{path}?n=5&page=2&per_page=3").json
    assert [item["utc"] for item in page["items"]] == ["2026-11-20T09:04:00Z", "2026-11-20T09:05:00Z"]
    assert (page["page"], page["per_page"], page["total"], page["next_cursor"]) == (2, 3, 5, None)
    assert len(owner.get(f"{path}?n=150").json["items"]) == 150


def test_a_saved_schedule_previews_no_more_runs_than_are_left(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, cron="30 * * * *", max_runs=4, notify=[])
    time.pass_(minutes=30)
    tick(app)
    path = f"/api/schedules/{schedule['id']}"
    owner.post(f"{path}/skip", {"at": "2026-11-20T10:30:00Z"})
    owner.post(f"{path}/skip", {"at": "2026-11-20T12:30:00Z"})
    for after, expected in (
        ("2026-11-20T09:30:00Z", ["11:30", "13:30", "14:30"]),
        ("2026-11-20T11:30:00Z", ["13:30", "14:30"]),
        ("2026-11-21T00:00:00Z", []),
    ):
        items = owner.get(f"{path}/preview", query_string={"after": after}).json["items"]
        assert [item["utc"][11:16] for item in items] == expected


@pytest.mark.parametrize(
    ("bounds", "hours"),
    [
        ({}, ["10", "11", "12"]),
        ({"after": "2026-11-20T10:30:00Z"}, ["11", "12", "13"]),
        ({"starts_at": "2026-11-20T13:00:00Z"}, ["13", "14", "15"]),
        ({"starts_at": "2026-11-19T22:00:00Z"}, ["22", "23", "00"]),
        ({"starts_at": "2026-11-19T22:00:00Z", "after": "2026-11-20T10:30:00Z"}, ["11", "12"]),
    ],
)
@pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)
def test_max_runs_bounds_the_preview(
    owner: Person, time: Time, bounds: dict[str, str], hours: list[str]
) -> None:
    time.pass_(minutes=1)
    body = {"cron": "0 * * * *", "max_runs": 3, **bounds}
    items = owner.post("/api/schedules/preview", body).json["items"]
    assert [item["utc"][11:13] for item in items] == hours


@pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)
def test_runs_too_many_to_count_bound_nothing(
    owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskapi.schedules.preview.MAX_COUNTED", 5)
    body = {"every": 1, "starts_at": "2026-11-20T09:00:00Z", "after": "2026-12-20T09:00:00Z", "n": 9}
    assert len(owner.post("/api/schedules/preview", {**body, "max_runs": 6}).json["items"]) == 9
    assert owner.post("/api/schedules/preview", {**body, "max_runs": 5}).json["items"] == []
