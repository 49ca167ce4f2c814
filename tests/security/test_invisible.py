"""What somebody may not see is told by no list, search, export, figure, message or connection."""

import io
import zipfile
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from pytest_httpserver import HTTPServer

from tests.calendar.making import fetch, make_feed
from tests.events.live.listening import Listening
from tests.events.webhooks.making import Inbox, subscribe
from tests.files.making import store
from tests.people import Person
from tests.rules.test_access import READ
from tests.schedules.making import make
from tests.smtp import MailServer
from tests.tasks.importing import import_table
from tests.tasks.making import make_task, path_of
from tests.work import tick

MARK = "xyzzy"
LISTS = sorted(route.split(" ")[1] for route in READ if route.startswith("GET") and "<" not in route)
SEARCHES = ("/api/tasks", "/api/schedules", "/api/files", "/api/tags", "/api/auth/users")
EXPORTS = tuple(f"/api/analytics/export?format={kind}" for kind in ("csv", "xlsx"))
PLACES = [
    *LISTS,
    *EXPORTS,
    *(f"{path}?q={MARK}" for path in SEARCHES),
    f"/api/analytics/export?format=csv&q={MARK}",
    "/api/analytics?start_date=2000-01-01",
]


def live(app: Flask, owner: Person, stranger: Person) -> None:
    """Have the owner write the mark wherever they can."""
    task = make_task(owner, title=f"Title {MARK}", description=MARK, due_date="2031-01-01T09:00:00Z")
    owner.post(f"{path_of(task)}/comments", {"content": f"Look, @{stranger.actor.username}: {MARK}"})
    store(owner, filename=f"{MARK}.txt", task_id=UUID(task["id"]))
    store(owner, filename=f"{MARK}.txt")
    schedule = make(owner, name=MARK, every=3600, params={"message": MARK})
    owner.post(f"/api/schedules/{schedule['id']}/run")
    owner.post("/api/calendar/feeds", {"name": MARK})
    import_table(app, owner, f"title\nImported {MARK}\n", filename=f"{MARK}.csv")
    tick(app)


def text_at(person: Person, path: str) -> str:
    answer = person.get(path, buffered=True)
    assert answer.status_code == (503 if path == "/api/events" else 200), path
    if not answer.data.startswith(b"PK"):
        return answer.text.replace(f"q={MARK}", "")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as book:
        return "".join(book.read(name).decode() for name in book.namelist())


def shown_to(person: Person) -> set[str]:
    return {path for path in PLACES if MARK in text_at(person, path)}


def test_a_stranger_is_shown_nothing_of_it(
    app: Flask,
    owner: Person,
    stranger: Person,
    receiver: HTTPServer,
    mail_server: MailServer,
    listening: Listening,
) -> None:
    inbox, feed, socket = Inbox(receiver, "/stranger"), make_feed(stranger), listening.websocket(stranger)
    subscribe(stranger, inbox.url, "*")
    assert socket.is_silent()
    live(app, owner, stranger)
    assert shown_to(stranger) == set()
    assert shown_to(owner) >= {
        *("/api/tasks", "/api/schedules", "/api/runs", "/api/files", "/api/tasks/imports"),
        *("/api/changes", "/api/notifications", "/api/calendar/feeds", *EXPORTS, "/api/tasks?q=" + MARK),
    }
    told: list[Any] = [request.get_data(as_text=True) for request in inbox.requests]
    told += [str(message) for message in mail_server.messages if message["To"] == stranger.email]
    told.append(fetch(stranger.client, feed).text)
    assert [text for text in told if MARK in text] == []
    assert socket.is_silent()


@pytest.mark.one_database
def test_every_list_is_asked(owner: Person) -> None:
    assert {"/api/tasks", "/api/changes", "/api/analytics/overview", "/api/notifications"} <= set(LISTS)
    # Live connections need gunicorn.
    asked = {path: owner.get(path, buffered=True).status_code for path in LISTS}
    assert {path: status for path, status in asked.items() if status != 200} == {"/api/events": 503}
