"""What webhooks are sent: to whom, of what, signed how, and in which order."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from pytest_httpserver import HTTPServer
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from taskapi.accounts.models import User
from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.events.messages import Message
from taskapi.events.service import relay_events
from taskapi.events.webhooks import outbox, sending
from taskapi.tasks.models import Task
from taskapi.version import VERSION
from tests.events.webhooks.making import Inbox, log_of, path_of, send, subscribe, sweep, verify
from tests.people import Person, make_person
from tests.schedules.making import Time
from tests.settings import settings_changed
from tests.tasks import making
from tests.tasks.making import make_task


def test_an_event_reaches_the_receiver_signed_and_as_the_standard_says(
    app: Flask, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, inbox.url)
    task = make_task(owner, title="Grüße")
    send(app)
    (request,) = inbox.requests
    body = verify(webhook["secret"], request)
    assert body == request.get_json()
    assert body.keys() == {"id", "type", "timestamp", "deleted", "data"}
    assert (body["type"], body["id"], body["deleted"]) == ("task.created", inbox.ids[0], False)
    assert body["timestamp"].endswith("Z")
    assert body["data"]["id"] == task["id"]
    assert body["data"]["title"] == "Grüße"
    assert (request.method, request.headers["Content-Type"]) == ("POST", "application/json")
    assert request.headers["User-Agent"] == f"taskapi/{VERSION}"


@pytest.mark.one_database
def test_what_was_changed_on_the_way_is_not_verified(app: Flask, owner: Person, inbox: Inbox) -> None:
    secret = subscribe(owner, inbox.url)["secret"]
    make_task(owner, title="Tea")
    send(app)
    (request,) = inbox.requests
    body, verifier = request.get_data(as_text=True), Verifier(secret)
    headers = {name: request.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")}
    a_second_later = str(int(headers["timestamp"]) + 1)

    def verified(text: str = body, **changed: str) -> Any:
        return verifier.verify(text, {f"webhook-{name}": it for name, it in (headers | changed).items()})

    assert verified() == request.get_json()
    other_body = body.replace("Tea", "Tee")
    for altered in ({"text": other_body}, {"id": str(UUID(int=7))}, {"timestamp": a_second_later}):
        with pytest.raises(WebhookVerificationError, match="No matching signature"):
            verified(**altered)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        verify("whsec_" + "A" * 43 + "=", request)


@pytest.mark.one_database
def test_what_was_sent_long_ago_is_not_verified(app: Flask, owner: Person, inbox: Inbox) -> None:
    long_ago = clock.now() - timedelta(minutes=6)
    with clock.use(lambda: long_ago):
        secret = subscribe(owner, inbox.url)["secret"]
        make_task(owner)
        send(app)
    with pytest.raises(WebhookVerificationError, match="too old"):
        verify(secret, inbox.requests[0])


@pytest.mark.one_database
def test_the_data_is_what_the_api_answers(app: Flask, owner: Person, inbox: Inbox) -> None:
    subscribe(owner, inbox.url)
    make_task(owner, tags=["home"])
    send(app)
    assert inbox.bodies[0]["data"] == owner.get("/api/tasks").json["items"][0]


def test_events_come_in_their_order_and_each_once(app: Flask, owner: Person, inbox: Inbox) -> None:
    subscribe(owner, inbox.url)
    names = [f"task {number}" for number in range(8)]
    for name in names:
        make_task(owner, title=name)
    send(app)
    sweep(app)
    assert inbox.titles == names
    assert len(set(inbox.ids)) == len(names)


@pytest.mark.one_database
def test_only_what_was_asked_for_is_sent(app: Flask, owner: Person, inbox: Inbox) -> None:
    subscribe(owner, inbox.url, "task.deleted", "comment.*")
    task = make_task(owner)
    owner.patch(making.path_of(task), {"title": "Tea"})
    owner.post(f"{making.path_of(task)}/comments", {"content": "Soon."})
    owner.delete(making.path_of(task))
    send(app)
    assert inbox.types == ["comment.created", "task.deleted"]
    assert inbox.bodies[1]["deleted"] is True


@pytest.mark.one_database
def test_two_webhooks_for_one_receiver_are_told_each(app: Flask, owner: Person, inbox: Inbox) -> None:
    first, second = subscribe(owner, inbox.url), subscribe(owner, inbox.url, "*")
    make_task(owner)
    send(app)
    assert len(inbox.ids) == 2
    assert len(set(inbox.ids)) == 1
    one, other = inbox.requests
    assert [verify(first["secret"], one), verify(second["secret"], other)] == inbox.bodies


@pytest.mark.one_database
def test_what_is_rolled_back_is_told_to_nobody(app: Flask, owner: Person, inbox: Inbox) -> None:
    subscribe(owner, inbox.url)
    answer = owner.post("/api/tasks/bulk", {"tasks": [{"title": "Tea"}, {"title": ""}]})
    assert answer.status_code == 422
    send(app)
    assert inbox.types == []


@pytest.mark.one_database
def test_what_happened_before_is_not_told(app: Flask, owner: Person, inbox: Inbox) -> None:
    make_task(owner)
    send(app)
    subscribe(owner, inbox.url)
    send(app)
    assert inbox.types == []


def test_nobody_is_told_of_what_they_do_not_see(
    app: Flask, owner: Person, teammate: Person, admin: Person, receiver: HTTPServer
) -> None:
    theirs = {person: Inbox(receiver, f"/{person.email}") for person in (owner, teammate, admin)}
    for person, inbox in theirs.items():
        subscribe(person, inbox.url, "*")
    make_task(owner)
    send(app)
    told = [inbox.types for inbox in theirs.values()]
    assert told == [["task.created"], [], ["task.created"]]


def test_who_loses_sight_while_the_outbox_is_written_is_not_told_what_it_has_become(
    app: Flask, owner: Person, teammate: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_listeners = outbox._listeners

    def while_it_is_taken_away(*args: Any) -> Any:
        found = really_listeners(*args)
        session().execute(sa.update(Task).values(assignee_id=None, title="not theirs"))
        return found

    monkeypatch.setattr(outbox, "_listeners", while_it_is_taken_away)
    subscribe(teammate, inbox.url)
    make_task(owner, assignee_id=str(teammate.id))
    send(app)
    assert inbox.types == []


@pytest.mark.one_database
def test_a_team_that_sees_everything_is_told_of_everything(
    app: Flask, owner: Person, teammate: Person, inbox: Inbox
) -> None:
    subscribe(teammate, inbox.url)
    with settings_changed(app, team_sees_tasks=True):
        make_task(owner)
        send(app)
    assert inbox.types == ["task.created"]


def test_who_loses_a_task_is_told_that_it_is_gone_and_then_nothing(
    app: Flask, owner: Person, teammate: Person, inbox: Inbox
) -> None:
    subscribe(teammate, inbox.url)
    task = make_task(owner, assignee_id=str(teammate.id))
    send(app)
    owner.patch(making.path_of(task), {"assignee_id": None, "title": "A secret"})
    owner.patch(making.path_of(task), {"title": "Another"})
    send(app)
    assert inbox.types == ["task.created", "task.removed"]
    assert inbox.bodies[1]["data"] == {"id": task["id"]}


def test_somebody_inactive_is_sent_nothing_until_they_are_back(
    app: Flask, time: Time, owner: Person, inbox: Inbox
) -> None:
    subscribe(owner, inbox.url)
    make_task(owner, title="before")
    with app.app_context():
        relay_events()
    let(app, owner, is_active=False)
    send(app)
    assert inbox.types == []
    let(app, owner, is_active=True)
    time.pass_(minutes=15)
    sweep(app)
    assert inbox.titles == ["before"]


def let(app: Flask, person: Person, *, is_active: bool) -> None:
    with app.app_context(), transaction():
        session().get_one(User, person.id).is_active = is_active


def test_nothing_is_asked_for_each_event_alone(
    app: Flask, owner: Person, inbox: Inbox, statements: list[str]
) -> None:
    subscribe(owner, inbox.url)
    counts = []
    for number in (2, 20):
        owner.post("/api/tasks/bulk", {"tasks": [{"title": f"task {n}"} for n in range(number)]})
        statements.clear()
        with app.app_context():
            relay_events()
        counts.append(len([text for text in statements if "webhook" in text]))
    assert counts[0] == counts[1] <= 3


def test_one_that_cannot_be_told_keeps_back_neither_others_nor_itself(
    app: Flask, owner: Person, inbox: Inbox, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(owner, inbox.url)
    poison = make_task(owner, title="poison")
    make_task(owner, title="Tea")
    body_of = outbox.body_of

    def failing(message: Message) -> str:
        if message.data["id"] == poison["id"]:
            raise ZeroDivisionError
        return body_of(message)

    monkeypatch.setattr(outbox, "body_of", failing)
    send(app)
    assert inbox.titles == ["Tea"]
    monkeypatch.undo()
    time.pass_(minutes=1)
    send(app)
    assert inbox.titles == ["Tea", "poison"]


def test_a_webhook_with_much_to_send_lets_others_come_first(
    app: Flask, owner: Person, inbox: Inbox, receiver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "AT_ONCE", 2)
    subscribe(owner, inbox.url)
    other = make_person(app, "sven@example.org")
    subscribe(other, inbox.url)
    for number in range(3):
        make_task(owner, title=f"many {number}")
    make_task(other, title="few")
    send(app)
    assert inbox.titles == ["many 0", "many 1", "few", "many 2"]


def test_a_message_that_is_redelivered_by_a_confused_relay_is_sent_once(
    app: Flask, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, inbox.url)
    make_task(owner)
    send(app)
    with app.app_context(), transaction() as active:
        event = active.get(Event, UUID(inbox.ids[0]))
        assert event is not None
        outbox.write_one(event)
    send(app)
    assert len(inbox.ids) == 1
    assert len(log_of(owner, webhook)) == 1


def test_what_waits_for_a_deleted_webhook_is_not_sent(app: Flask, owner: Person, inbox: Inbox) -> None:
    webhook = subscribe(owner, inbox.url)
    make_task(owner)
    with app.app_context():
        relay_events()
    assert owner.delete(path_of(webhook)).status_code == 204
    send(app)
    assert inbox.types == []
