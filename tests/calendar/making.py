"""Short ways to read calendars in tests."""

from datetime import datetime
from typing import Any

from flask.testing import FlaskClient
from icalendar import Calendar
from werkzeug.test import TestResponse

from taskapi.core.runtime import runtime_settings
from tests.people import Person


def make_feed(person: Person, name: str = "Work") -> dict[str, Any]:
    """A feed of the person's, by the API; the answer's body, with the path of its address."""
    answer = person.post("/api/calendar/feeds", {"name": name})
    assert answer.status_code == 201, answer.text
    with person.client.application.app_context():
        base = runtime_settings().public_url
    feed: dict[str, Any] = answer.json
    return {**feed, "path": feed["url"].removeprefix(base)}


def fetch(client: FlaskClient, feed: dict[str, Any], **options: Any) -> TestResponse:
    """What a calendar program gets, which does not sign in."""
    return client.get(feed["path"], **options)


def read(client: FlaskClient, feed: dict[str, Any], **query: str) -> Any:
    """The calendar as a parser of somebody else's understands it."""
    answer = fetch(client, feed, query_string=query)
    assert answer.status_code == 200, answer.text
    return Calendar.from_ical(answer.data)


def titles(calendar: Any) -> list[str]:
    """What stands in it, in order of time."""
    return [str(part["summary"]) for part in (*calendar.events, *calendar.todos)]


def starts(calendar: Any) -> list[datetime]:
    return [part.start for part in calendar.events]
