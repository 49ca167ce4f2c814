"""What somebody may not see is told by no list, search, export, figure, message or connection."""

import io
import zipfile
from email.message import EmailMessage
from uuid import UUID

import pytest
from flask import Flask
from pytest_httpserver import HTTPServer

from tests.calendar.making import fetch, make_feed
from tests.events.live.listening import EventSource, Listening, WebSocketClient
from tests.events.webhooks.making import Inbox, subscribe
from tests.files.making import store
from tests.people import Person
from tests.rules.access_table import READ
from tests.schedules.making import make
from tests.smtp import MailServer
from tests.tasks.importing import import_table
from tests.tasks.making import make_task, path_of
from tests.work import tick

MARK = "xyzzy"
# The name of a tag, which everybody is told of.
END = "the-end"
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
    owner.post("/api/tags", {"name": END})
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


class Ways:
    """All by which a person may be told of something unasked."""

    def __init__(self, person: Person, receiver: HTTPServer, listening: Listening) -> None:
        self.person, self.inbox = person, Inbox(receiver, f"/{person.id}")
        subscribe(person, self.inbox.url, "*")
        self.feed = make_feed(person)
        self.socket, self.stream = listening.websocket(person), listening.stream(person)
        assert self.socket.is_silent()

    def that_tell(self, mail_server: MailServer) -> set[str]:
        """Those that told of the mark."""
        mails = [message for message in mail_server.messages if message["To"] == self.person.email]
        told: dict[str, list[str]] = {
            "webhook": [request.get_data(as_text=True) for request in self.inbox.requests],
            "mail": [body_of(message) for message in mails],
            "feed": [fetch(self.person.client, self.feed).text],
            "socket": until_the_end(self.socket),
            "stream": until_the_end(self.stream),
        }
        return {way for way, texts in told.items() if any(MARK in text for text in texts)}


def until_the_end(connection: WebSocketClient | EventSource) -> list[str]:
    """All that is told of what happened before."""
    told = [str(connection.message())]
    while END not in told[-1]:
        told.append(str(connection.message()))
    return told


def body_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    return f"{message['Subject']} {part.get_content() if part else ''}"


def test_a_stranger_is_shown_nothing_of_it(
    app: Flask,
    owner: Person,
    stranger: Person,
    receiver: HTTPServer,
    mail_server: MailServer,
    listening: Listening,
) -> None:
    ways, theirs = (Ways(person, receiver, listening) for person in (stranger, owner))
    live(app, owner, stranger)
    assert shown_to(stranger) == set()
    assert shown_to(owner) >= {
        *("/api/tasks", "/api/schedules", "/api/runs", "/api/files", "/api/tasks/imports"),
        *("/api/changes", "/api/notifications", "/api/calendar/feeds", *EXPORTS, "/api/tasks?q=" + MARK),
    }
    assert ways.that_tell(mail_server) == set()
    # Who may see it is told by each of them.
    assert theirs.that_tell(mail_server) == {"webhook", "feed", "mail", "socket", "stream"}


@pytest.mark.one_database
def test_every_list_is_asked(owner: Person) -> None:
    assert {"/api/tasks", "/api/changes", "/api/analytics/overview", "/api/notifications"} <= set(LISTS)
    # Live connections need gunicorn.
    asked = {path: owner.get(path, buffered=True).status_code for path in LISTS}
    assert {path: status for path, status in asked.items() if status != 200} == {"/api/events": 503}
