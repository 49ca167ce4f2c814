"""GET /api/analytics/trends"""

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from tests.analytics.conftest import Team
from tests.analytics.making import NOW, insert_tasks
from tests.people import Person, make_person
from tests.schedules.making import at


def trends(person: Person, **query: Any) -> list[dict[str, Any]]:
    answer = person.get("/api/analytics/trends", query_string=query)
    assert answer.status_code == 200, answer.text
    body = answer.json
    assert (body["page"], body["total"], body["next_cursor"]) == (1, len(body["items"]), None)
    items: list[dict[str, Any]] = body["items"]
    return items


def first_day(interval: str, moment: datetime | None, zone: str) -> date | None:
    if moment is None:
        return None
    day = moment.astimezone(ZoneInfo(zone)).date()
    if interval == "week":
        return day - timedelta(days=day.isoweekday() - 1)
    return day.replace(day=1) if interval == "month" else day


@pytest.mark.parametrize("interval", ["day", "week", "month"])
@pytest.mark.parametrize("name", ["owner", "admin"])
def test_each_period_counts_what_was_created_and_completed_in_it(
    team: Team, name: str, interval: str
) -> None:
    found = trends(team.people[name], interval=interval, start_date="2026-01-01", end_date="2026-06-30")
    for field in ("created", "completed"):
        moments = [first_day(interval, task[f"{field}_at"], "UTC") for task in team.seen_by(name)]
        counts = Counter(str(day) for day in moments if day)
        assert {item["period"]: item[field] for item in found if item[field]} == counts


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize(
    ("interval", "first", "last", "count"),
    [
        ("day", "2026-03-17", "2026-04-15", 30),
        ("week", "2026-01-26", "2026-04-13", 12),
        ("month", "2025-05-01", "2026-04-01", 12),
    ],
)
def test_without_dates_it_tells_of_the_last_while(
    owner: Person, interval: str, first: str, last: str, count: int
) -> None:
    found = trends(owner, interval=interval)
    assert (found[0]["period"], found[-1]["period"], len(found)) == (first, last, count)


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_day_on_which_the_clocks_change_has_all_its_hours(app: Flask, day: str) -> None:
    paul = make_person(app, "paul@example.org", timezone="Europe/Paris")
    here = ZoneInfo("Europe/Paris")
    begin = datetime.fromisoformat(day).replace(tzinfo=here)
    end = (begin + timedelta(days=1)).replace(tzinfo=here)
    moment = timedelta(microseconds=1)
    times = [begin.astimezone(ZoneInfo("UTC")) - moment, begin, end.astimezone(ZoneInfo("UTC")) - moment, end]
    insert_tasks(app, [{"creator_id": paul.id, "created_at": time} for time in times])
    (item,) = trends(paul, start_date=day, end_date=day)
    assert item == {"period": day, "created": 2, "completed": 0}


@pytest.mark.one_database
def test_a_day_that_begins_after_midnight_is_a_day(app: Flask) -> None:
    # In Beirut the clocks went from 0:00 to 1:00 on 29 March 2026.
    rima = make_person(app, "rima@example.org", timezone="Asia/Beirut")
    insert_tasks(app, [{"creator_id": rima.id, "created_at": at("2026-03-28 22:00")}])
    found = trends(rima, start_date="2026-03-28", end_date="2026-03-29")
    assert [item["created"] for item in found] == [0, 1]


def test_the_first_and_the_last_period_are_cut_at_the_bounds(app: Flask, owner: Person) -> None:
    days = range(1, 29)
    insert_tasks(app, [{"creator_id": owner.id, "created_at": at(f"2026-02-{day:02} 12:00")} for day in days])
    found = trends(owner, interval="week", start_date="2026-02-05", end_date="2026-02-17")
    assert [(item["period"], item["created"]) for item in found] == [
        ("2026-02-02", 4),
        ("2026-02-09", 7),
        ("2026-02-16", 2),
    ]


def test_a_thousand_periods_are_counted_and_more_refused(app: Flask, owner: Person) -> None:
    insert_tasks(app, [{"creator_id": owner.id}])
    found = trends(owner, start_date=(NOW - timedelta(days=999)).date(), end_date=NOW.date())
    assert (len(found), found[-1]["created"]) == (1_000, 1)
    query = {"start_date": (NOW - timedelta(days=1_000)).date(), "end_date": NOW.date()}
    answer = owner.get("/api/analytics/trends", query_string=query)
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["interval"])


@pytest.mark.one_database
def test_what_begins_in_the_future_has_no_periods(owner: Person) -> None:
    assert trends(owner, start_date="2190-01-01") == []
