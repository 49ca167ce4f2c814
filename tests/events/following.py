"""Short ways to follow what happens, as a client does."""

from typing import Any

from flask import has_app_context

from taskapi.core.db import session
from taskapi.events.service import relay_events
from tests.people import Person


def relay(person: Person) -> None:
    """Have everything told that has happened."""
    with person.client.application.app_context():
        relay_events()
    if has_app_context():
        # A request would go on with the test's own transaction, and see what that sees.
        session().rollback()


def changes(person: Person, **query: Any) -> Any:
    """One answer of the feed, once everything was relayed."""
    relay(person)
    answer = person.get("/api/changes", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json


def now(person: Person) -> str:
    """The token of who has read everything."""
    return str(changes(person)["latest"])


def told(person: Person, since: str | None = None, **query: Any) -> list[tuple[str, Any]]:
    """Everything that the person is told since a token: types and data, all pages."""
    found = []
    while True:
        page = changes(person, **query, **({"since": since} if since else {}))
        found += [(item["type"], item["data"]) for item in page["items"]]
        since = page["next"]
        if not page["more"]:
            return found
