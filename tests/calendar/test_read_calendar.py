"""GET /calendar/{token}.ics: what a calendar program sees of tasks."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from icalendar import Calendar
from sqlalchemy.exc import OperationalError

from taskapi.accounts.models import User
from taskapi.calendar import queries
from taskapi.core.db import session, transaction
from taskapi.environment import Rate
from tests.calendar.making import fetch, make_feed, read, titles
from tests.core.conftest import Log
from tests.people import Person, make_person
from tests.schedules.making import Time
from tests.settings import settings_changed
from tests.tasks.making import make_task, path_of

FRIDAY = "2026-11-27T16:00:00Z"


def test_a_due_date_is_an_event(owner: Person, client: FlaskClient, feed: dict[str, Any]) -> None:
    text = {"title": "Pay", "description": "by card", "tags": ["money, due", "café"]}
    task = make_task(owner, due_date=FRIDAY, priority="high", **text)
    owner.patch(path_of(task), {"title": "Pay the rent"})
    calendar = read(client, feed)
    assert (str(calendar["version"]), calendar.calendar_name) == ("2.0", "Work")
    assert calendar.refresh_interval == timedelta(hours=1)
    (event,) = calendar.events
    assert event.start == datetime(2026, 11, 27, 16, tzinfo=UTC)
    assert event.end - event.start == timedelta(minutes=30)
    assert str(event["summary"]) == "! Pay the rent"
    assert str(event["description"]).startswith("by card\n\nStatus: todo")
    assert sorted(event.categories) == ["café", "money, due"]
    assert (event["sequence"], event["priority"], event["transp"]) == (2, 3, "TRANSPARENT")
    assert event.uid == f"task-{task['id']}@taskapi"


def test_the_same_task_has_the_same_uid_and_a_higher_sequence_after_a_change(
    owner: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    task = make_task(owner, due_date=FRIDAY)
    (before,) = read(client, feed).events
    owner.patch(path_of(task), {"due_date": "2026-12-01T08:00:00Z"})
    (after,) = read(client, feed).events
    assert (after.uid, after["sequence"]) == (before.uid, before["sequence"] + 1)
    assert after.start == datetime(2026, 12, 1, 8, tzinfo=UTC)


def test_as_to_do_it_says_how_far_it_is(
    time: Time, owner: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    for title, status in (("a", "todo"), ("b", "in_progress"), ("c", "done"), ("d", "cancelled")):
        time.pass_(seconds=1)
        make_task(owner, title=title, due_date=FRIDAY, status=status, priority="urgent")
    calendar = read(client, feed, **{"as": "VTODO"})
    todos = {str(todo["summary"]): todo for todo in calendar.todos}
    assert calendar.events == []
    assert {title: str(todo["status"]) for title, todo in todos.items()} == {
        "a": "NEEDS-ACTION",
        "b": "IN-PROCESS",
        "c": "COMPLETED",
    }
    assert {todo["due"].dt for todo in calendar.todos} == {datetime(2026, 11, 27, 16, tzinfo=UTC)}
    assert (todos["c"]["percent-complete"], todos["c"]["completed"].dt) == (
        100,
        time.now - timedelta(seconds=1),
    )
    assert todos["a"]["priority"] == 1


def test_marks_tell_what_an_event_cannot_say(
    time: Time, owner: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    make_task(owner, title="done", due_date="2026-11-21T09:00:00Z", status="done")
    make_task(owner, title="soon", due_date="2026-11-21T10:00:00Z", priority="urgent")
    make_task(owner, title="any", due_date="2026-11-21T11:00:00Z")
    assert titles(read(client, feed)) == ["✓ done", "!! soon", "any"]


def test_what_is_cancelled_deleted_far_away_or_without_a_date_is_left_out(
    owner: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    make_task(owner, title="cancelled", due_date=FRIDAY, status="cancelled")
    owner.delete(path_of(make_task(owner, title="deleted", due_date=FRIDAY)))
    for title, days in (("long ago", -91), ("lately", -89), ("next year", 729), ("far", 731)):
        due = datetime(2026, 11, 20, 9, tzinfo=UTC) + timedelta(days=days)
        make_task(owner, title=title, due_date=due.isoformat(), status="done")
    make_task(owner, title="some day")
    assert titles(read(client, feed)) == ["✓ lately", "✓ next year"]


@pytest.mark.parametrize("visibility", [False, True], ids=["own", "team"])
def test_it_shows_what_one_made_or_was_given_and_nobody_elses(
    app: Flask, time: Time, admin: Person, owner: Person, teammate: Person, visibility: bool
) -> None:
    feeds = [make_feed(person) for person in (owner, teammate, admin)]
    task = make_task(owner, title="shared", due_date=FRIDAY, assignee_id=str(teammate.id))
    make_task(owner, title="own", due_date="2026-11-28T16:00:00Z")
    with settings_changed(app, team_sees_tasks=visibility):
        assert [titles(read(owner.client, feed)) for feed in feeds] == [["shared", "own"], ["shared"], []]
        (event, _) = read(owner.client, feeds[0]).events
        assert str(event["description"]).endswith("Assigned to @tariq")
        owner.patch(path_of(task), {"assignee_id": None})
        assert titles(read(owner.client, feeds[1])) == []


def test_times_are_those_of_the_owners_wall_before_and_after_the_clocks_change(
    app: Flask, time: Time, client: FlaskClient
) -> None:
    paris = make_person(app, "paula@example.org", timezone="Europe/Paris")
    make_task(paris, due_date="2027-03-27T08:00:00Z")
    make_task(paris, due_date="2027-03-29T07:00:00Z")
    feed = make_feed(paris)
    events = read(client, feed).events
    wall = ZoneInfo("Europe/Paris")
    assert [event.start for event in events] == [
        datetime(2027, 3, 27, 9, tzinfo=wall),
        datetime(2027, 3, 29, 9, tzinfo=wall),
    ]
    assert b"DTSTART;TZID=Europe/Paris:20270329T090000" in fetch(client, feed).data


def test_it_answers_304_until_something_changes(
    time: Time, owner: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    task = make_task(owner, due_date=FRIDAY, tags=["home"])
    first = fetch(client, feed)
    known = {"If-None-Match": first.headers["ETag"]}
    time.pass_(hours=5)
    again = fetch(client, feed, headers=known)
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert fetch(client, feed).data == first.data
    owner.patch(path_of(task), {"title": "New"})
    assert fetch(client, feed, headers=known).status_code == 200
    known = {"If-None-Match": fetch(client, feed).headers["ETag"]}
    owner.patch(f"/api/tags/{task['tags'][0]['id']}", {"name": "house"})
    assert fetch(client, feed, headers=known).status_code == 200


def test_the_answer_is_for_calendar_programs_alone(
    owner: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    make_task(owner, due_date=FRIDAY)
    answer = fetch(client, feed)
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'inline; filename="calendar.ics"'
    assert answer.headers["Cache-Control"] == "private, max-age=60"
    assert "RateLimit-Limit" not in answer.headers
    head = client.head(feed["path"])
    assert (head.status_code, head.data) == (200, b"")
    for name in ("ETag", "Content-Length", "Content-Type"):
        assert head.headers[name] == answer.headers[name]


def test_an_unknown_address_is_like_any_path_that_is_not_there(client: FlaskClient) -> None:
    paths = ("/calendar/tac_nobody.ics", "/calendar/tac_nobody", "/nowhere")
    answers = [client.get(path) for path in paths]
    assert {answer.status_code for answer in answers} == {404}
    bodies = [{**(answer.json or {}), "request_id": None} for answer in answers]
    assert bodies == [bodies[0]] * 3


def test_another_kind_is_refused(client: FlaskClient, feed: dict[str, Any]) -> None:
    answer = fetch(client, feed, query_string={"as": "vjournal"})
    assert answer.status_code == 422
    assert answer.get_json()["errors"].keys() == {"as"}


def test_who_is_switched_off_has_no_calendar(
    app: Flask, owner: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    with app.app_context(), transaction():
        session().get_one(User, owner.id).is_active = False
    assert fetch(client, feed).status_code == 404


def test_its_use_is_noted_once_an_hour(
    time: Time, owner: Person, client: FlaskClient, feed: dict[str, Any]
) -> None:
    def last_used() -> str:
        return str(owner.get(f"/api/calendar/feeds/{feed['id']}").json["last_used_at"])

    assert last_used() == "None"
    used = []
    for minutes in (0, 59, 1):
        time.pass_(minutes=minutes)
        fetch(client, feed)
        used.append(last_used())
    assert used == ["2026-11-20T09:00:00Z"] * 2 + ["2026-11-20T10:00:00Z"]


@pytest.mark.one_database
def test_it_is_read_also_when_its_use_cannot_be_noted(
    client: FlaskClient, feed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    monkeypatch.setattr(queries, "note_use", fail)
    assert fetch(client, feed).status_code == 200


@pytest.mark.one_database("postgresql")
def test_many_tasks_take_as_many_statements_as_few(
    owner: Person, client: FlaskClient, feed: dict[str, Any], statements: list[str]
) -> None:
    def ask() -> tuple[int, int]:
        statements.clear()
        return fetch(client, feed).data.count(b"BEGIN:VEVENT"), len(statements)

    make_task(owner, due_date=FRIDAY, tags=["home"])
    fetch(client, feed)
    assert ask()[0] == 1
    number_for_few = len(statements)
    tasks = [{"title": f"Task {n}", "due_date": FRIDAY, "tags": ["home"]} for n in range(499)]
    assert owner.post("/api/tasks/bulk", {"tasks": tasks}).status_code == 201
    assert ask() == (500, number_for_few)


def test_of_too_many_the_nearest_are_shown(
    owner: Person, client: FlaskClient, feed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskapi.calendar.entries.MAX_TASKS", 3)
    for day in (14, 18, 19, 22, 23, 30):
        make_task(owner, title=str(day), due_date=f"2026-11-{day}T09:00:00Z", status="done")
    assert titles(read(client, feed)) == ["✓ 18", "✓ 19", "✓ 22"]


@pytest.mark.one_database
def test_an_address_may_ask_as_often_as_the_limit_says(
    app: Flask, client: FlaskClient, feed: dict[str, Any]
) -> None:
    with settings_changed(app, rate_limit_default=Rate(2, 60)):
        assert [fetch(client, feed).status_code for _ in range(3)] == [200, 200, 429]
        elsewhere = fetch(client, feed, environ_base={"REMOTE_ADDR": "198.51.100.7"})
        assert elsewhere.status_code == 200


@pytest.mark.one_database
def test_the_address_is_not_logged(
    client: FlaskClient, feed: dict[str, Any], log_to: Callable[..., Log]
) -> None:
    log = log_to(LOG_LEVEL="DEBUG", LOG_SQL="true")
    fetch(client, feed)
    assert log.line("request")["route"] == "/calendar/<token>.ics"
    assert "tac_" not in log.text


def test_hostile_text_stays_text(owner: Person, client: FlaskClient, feed: dict[str, Any]) -> None:
    texts = [
        "END:VEVENT\\nBEGIN:VALARM",
        r"C:\New \n \, ; , : \;",
        "👩‍💻" * 40,
        "\u202e\u05e9\u05dc\u05d5\u05dd",
        'DTSTART;X="a":1',
    ]
    description = "one\r\nBEGIN:VALARM\ntwo\rEND:VCALENDAR\ttab"
    for text in texts:
        make_task(owner, title=text, due_date=FRIDAY, description=description, tags=["a;b\\,c"])
    raw = fetch(client, feed).data
    calendar: Any = Calendar.from_ical(raw)
    assert sorted(titles(calendar)) == sorted(texts)
    for event in calendar.events:
        assert event.subcomponents == []
        lines = ["one", "BEGIN:VALARM", "two", "END:VCALENDAR\ttab"]
        assert str(event["description"]).splitlines()[:4] == lines
    assert all(len(line) <= 75 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
