"""The notification and the e-mail about a damaged file."""

import pytest
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.core.events import record_event
from taskapi.core.ids import new_id
from taskapi.notifications.service import on_file_damaged
from tests.notifications.outbox import mailed
from tests.people import Person
from tests.schedules.making import Time
from tests.smtp import MailServer, body
from tests.work import tick


def damaged(app: Flask, person: Person, damage: str, *, deliveries: int = 0) -> None:
    """Have a file's damage found, and the event delivered so often before the relay does."""
    after = {"damage": damage, "filename": "<b>taxes</b>.pdf", "size": 5}
    with app.app_context(), transaction():
        event = record_event("file.damaged", subject=("file", new_id()), owner_id=person.id, after=after)
        session().flush()
        for _ in range(deliveries):
            on_file_damaged(event)
    tick(app)


@pytest.mark.parametrize(
    ("damage", "words"),
    [("changed", "What is stored of this file is not what was uploaded."), ("missing", "is gone")],
)
def test_it_says_what_is_wrong(
    app: Flask, time: Time, owner: Person, mail_server: MailServer, damage: str, words: str
) -> None:
    damaged(app, owner, damage)
    (told,) = owner.get("/api/notifications").json["items"]
    assert (told["type"], told["title"]) == ("file_damaged", "Damaged: <b>taxes</b>.pdf")
    assert words in told["message"]
    (message,) = mail_server.messages
    assert message["Subject"] == "Damaged: <b>taxes</b>.pdf"
    assert words in body(message, "plain")
    assert "&lt;b&gt;taxes&lt;/b&gt;.pdf" in body(message, "html")


def test_a_delivery_that_is_repeated_tells_once(app: Flask, time: Time, owner: Person) -> None:
    damaged(app, owner, "changed", deliveries=2)
    assert len(owner.get("/api/notifications").json["items"]) == 1
    assert mailed(app) == [("file_damaged", owner.email)]
