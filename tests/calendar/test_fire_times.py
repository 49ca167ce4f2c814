"""GET /calendar/{token}.ics: when schedules fire next."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from tests.calendar.making import fetch, make_feed, read, starts, titles
from tests.people import Person
from tests.schedules.making import Time, at, make
from tests.tasks.making import make_task


def test_the_next_ten_of_a_schedule_are_events_in_its_own_zone(
    owner: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    schedule = make(owner, name="Back up", cron="0 9 * * *", timezone="Europe/Paris")
    events = read(client, feed).events
    first = datetime(2026, 11, 21, 9, tzinfo=ZoneInfo("Europe/Paris"))
    assert [event.start for event in events] == [first + timedelta(days=day) for day in range(10)]
    assert events[0].uid == f"schedule-{schedule['id']}-20261121T080000Z@taskapi"
    assert (str(events[0]["summary"]), events[0]["sequence"]) == ("⏱ Back up", 1)
    assert str(events[0]["description"]) == "Action: reminder"
    assert b"DTSTART;TZID=Europe/Paris:20261121T090000" in fetch(client, feed).data


def test_only_what_comes_within_sixty_days_is_shown(
    owner: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    make(owner, name="monthly", cron="0 9 1 * *")
    make(owner, name="next year", run_at="2027-03-01T09:00:00Z")
    assert titles(read(client, feed)) == ["⏱ monthly"] * 2


def test_what_was_left_out_by_hand_paused_or_used_up_does_not_come(
    owner: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    skipping = make(owner, cron="0 10 * * *", max_runs=3)
    owner.post(f"/api/schedules/{skipping['id']}/skip", {"at": "2026-11-22T10:00:00Z"})
    paused = make(owner, name="paused", cron="0 10 * * *")
    owner.post(f"/api/schedules/{paused['id']}/pause")
    cancelled = make(owner, name="cancelled", cron="0 10 * * *")
    owner.post(f"/api/schedules/{cancelled['id']}/cancel")
    assert starts(read(client, feed)) == [at(f"2026-11-{day} 10:00") for day in (20, 21, 23)]


def test_a_fire_time_that_has_passed_makes_way_for_the_next(
    time: Time, owner: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    make(owner, every=86_400)
    known = {"If-None-Match": fetch(client, feed).headers["ETag"]}
    before = starts(read(client, feed))
    time.pass_(hours=23)
    assert fetch(client, feed, headers=known).status_code == 304
    time.pass_(hours=2)
    assert fetch(client, feed, headers=known).status_code == 200
    assert starts(read(client, feed)) == [moment + timedelta(days=1) for moment in before]


def test_to_dos_have_none_and_others_see_none(
    owner: Person, admin: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    make(owner, cron="0 9 * * *")
    make_task(owner, title="Tea", due_date="2026-11-27T16:00:00Z")
    assert titles(read(client, feed, **{"as": "vtodo"})) == ["Tea"]
    assert titles(read(client, make_feed(admin))) == []


def test_many_schedules_take_as_many_statements_as_few_and_are_bounded(
    owner: Person,
    client: FlaskClient,
    feed: dict[str, Any],
    statements: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("taskapi.calendar.entries.MAX_FIRE_TIMES", 15)
    make(owner, name="daily", every=86_400)
    fetch(client, feed)
    statements.clear()
    fetch(client, feed)
    number_for_one = len(statements)
    make(owner, name="hourly", every=3600)
    make(owner, name="weekly", every=604_800)
    statements.clear()
    shown = titles(read(client, feed))
    assert len(statements) == number_for_one
    assert {name: shown.count(f"⏱ {name}") for name in ("hourly", "daily", "weekly")} == {
        "hourly": 10,
        "daily": 5,
        "weekly": 0,
    }
