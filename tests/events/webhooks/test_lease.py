"""One sender at a time: workers that die, that were only slow, and a Redis that forgets."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from redis import Redis

from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.core.db import db, session, transaction
from taskapi.core.ids import new_id
from taskapi.core.upserts import insert_new
from taskapi.events import jobs
from taskapi.events.service import relay_events
from taskapi.events.webhooks import lease, queries, sending
from taskapi.events.webhooks.models import WebhookDelivery
from taskapi.events.webhooks.retention import forget_old_deliveries
from taskapi.events.webhooks.sending import Item, Sent
from tests.events.test_changes import plan_of
from tests.events.webhooks.making import Inbox, log_of, send, subscribe, sweep, work_on
from tests.people import Person
from tests.schedules.making import Time
from tests.tasks.making import make_task
from tests.work import queued


class Killed(BaseException):
    """What a worker that is killed does not survive."""


def test_what_a_killed_worker_had_sent_is_sent_again_under_the_same_id(
    app: Flask, time: Time, owner: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(owner, inbox.url)
    make_task(owner, title="first")
    make_task(owner, title="second")
    really_send = sending._send

    def die_after_sending(item: Item) -> Sent:
        really_send(item)
        raise Killed

    monkeypatch.setattr(sending, "_send", die_after_sending)
    with pytest.raises(Killed):
        send(app)
    monkeypatch.undo()
    # Nobody else sends while it might live.
    time.pass_(seconds=lease.LEASE_SECONDS - 1)
    sweep(app)
    assert inbox.titles == ["first"]
    time.pass_(seconds=2)
    sweep(app)
    assert inbox.titles == ["first", "first", "second"]
    assert len(set(inbox.ids)) == 2


def test_a_worker_that_was_only_slow_writes_nothing_over_another_s(
    app: Flask, time: Time, owner: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = subscribe(owner, inbox.url)
    inbox.statuses = [500, 200]
    make_task(owner)
    really_send = sending._send

    def sleep_after_sending(item: Item) -> Sent:
        monkeypatch.undo()
        sent = really_send(item)
        time.pass_(seconds=lease.LEASE_SECONDS + 1)
        work_on(app, webhook)
        return sent

    monkeypatch.setattr(sending, "_send", sleep_after_sending)
    send(app)
    (delivery,) = log_of(owner, webhook)
    assert (delivery["status"], delivery["attempt_count"]) == ("succeeded", 1)


def test_two_workers_at_once_send_each_message_once_and_in_order(
    app: Flask, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, inbox.url)
    for number in range(10):
        make_task(owner, title=f"task {number}")
    with app.app_context():
        relay_events()
    workers = [threading.Thread(target=work_on, args=(app, webhook)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert inbox.titles == [f"task {number}" for number in range(10)]


def test_what_comes_while_a_sender_is_about_to_leave_is_queued(
    app: Flask, owner: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = subscribe(owner, inbox.url)
    make_task(owner)
    really_send_some = sending._send_some

    def late(claim: lease.Claim) -> None:
        monkeypatch.undo()
        really_send_some(claim)
        with transaction():
            session().add(late_delivery(claim))
        # Its job comes while the webhook is still taken, and finds nothing to do.
        work_on(app, webhook)
        assert len(inbox.requests) == 1

    monkeypatch.setattr(sending, "_send_some", late)
    send(app)
    assert len(inbox.requests) == 2


def late_delivery(claim: lease.Claim) -> WebhookDelivery:
    first = session().scalars(sa.select(WebhookDelivery)).one()
    return WebhookDelivery(
        webhook_id=claim.id, message_id=claim.id, position=first.position + 1, type=first.type, body="{}"
    )


def test_the_slow_receivers_of_one_person_do_not_keep_all_workers_busy(
    app: Flask, owner: Person, teammate: Person, inbox: Inbox
) -> None:
    first, second, third = (UUID(subscribe(owner, inbox.url)["id"]) for _ in range(3))
    other = UUID(subscribe(teammate, inbox.url)["id"])
    make_task(owner, assignee_id=str(teammate.id))
    with app.app_context():
        relay_events()
        with transaction():
            claims = [lease.take(webhook_id, senders=9) for webhook_id in (first, second, third, other)]
        assert [claim is not None for claim in claims] == [True, True, False, True]
        assert claims[0] is not None
        with transaction():
            lease.give_back(claims[0])
        with transaction():
            assert lease.take(third, senders=9) is not None


def test_one_worker_is_left_for_all_else(
    app: Flask, owner: Person, teammate: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (UUID(subscribe(person, inbox.url)["id"]) for person in (owner, teammate))
    make_task(owner, assignee_id=str(teammate.id))
    monkeypatch.setattr(lease, "count_workers", lambda: 2)
    with app.app_context():
        relay_events()
        with transaction():
            assert lease.take(first, senders=lease.senders_at_once()) is not None
        jobs.send_webhook(str(second))
        assert inbox.requests == []
        monkeypatch.setattr(lease, "count_workers", lambda: 3)
        jobs.send_webhook(str(second))
        assert len(inbox.requests) == 1


def test_what_found_no_sender_free_is_sent_when_there_is_one_and_what_failed_comes_last(
    app: Flask, time: Time, owner: Person, teammate: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, healthy = subscribe(owner, inbox.url + "?failing"), subscribe(teammate, inbox.url)
    inbox.statuses = [500, 200]
    make_task(owner, title="failing")
    send(app)
    make_task(teammate, title="healthy")
    with app.app_context():
        relay_events()
        redis_client().flushdb()
        time.pass_(seconds=60)
        with transaction():
            taken = lease.take(UUID(failing["id"]), senders=1)
        assert taken is not None
        work_on(app, healthy)
        assert inbox.titles == ["failing"]
        with transaction():
            lease.give_back(taken)
    sweep(app)
    assert inbox.titles == ["failing", "healthy", "failing"]


def test_all_webhooks_of_one_person_get_their_turn(app: Flask, owner: Person, inbox: Inbox) -> None:
    for _ in range(5):
        subscribe(owner, inbox.url)
    make_task(owner)
    send(app)
    assert len(inbox.requests) == 5


def test_a_redis_that_was_away_loses_nothing(
    app: Flask, owner: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(owner, inbox.url)
    make_task(owner)
    with app.app_context(), monkeypatch.context() as patch:
        patch.setitem(app.extensions, "taskapi_redis", Redis.from_url("unix:///nowhere/valkey.sock"))
        relay_events()
    with app.app_context():
        assert queued(Queue.WEBHOOKS) == []
    sweep(app)
    assert inbox.types == ["task.created"]


def test_what_is_queued_already_is_not_queued_again(app: Flask, owner: Person, inbox: Inbox) -> None:
    subscribe(owner, inbox.url)
    make_task(owner)
    with app.app_context():
        relay_events()
        lease.sweep()
        lease.sweep()
        assert len(queued(Queue.WEBHOOKS)) == 1


def test_what_waits_is_found_by_its_index_however_long_the_log_is(
    app: Flask, owner: Person, inbox: Inbox
) -> None:
    webhook_id = UUID(subscribe(owner, inbox.url)["id"])
    asked: list[tuple[str, Any]] = []
    with app.app_context():
        with transaction():
            insert_new(WebhookDelivery, [delivered(webhook_id, number) for number in range(2000)])
            session().execute(sa.text("ANALYZE webhook_deliveries"))
        sa.event.listen(db.engine, "before_cursor_execute", note := noting(asked))
        lease.sweep()
        queries.oldest_waiting(webhook_id, limit=2)
        sa.event.remove(db.engine, "before_cursor_execute", note)
        plans = [plan_of(*each) for each in asked if "webhook_deliveries" in each[0]]
    assert len(plans) == 2
    assert all("ix_webhook_deliveries_outbox" in plan for plan in plans), plans


def noting(asked: list[tuple[str, Any]]) -> Callable[..., None]:
    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    return note


def delivered(webhook_id: UUID, number: int) -> dict[str, Any]:
    return {
        "webhook_id": webhook_id,
        "message_id": new_id(),
        "position": number,
        "type": "task.created",
        "body": "{}",
        "status": "succeeded",
    }


def test_what_is_older_than_30_days_is_forgotten(app: Flask, time: Time, owner: Person, inbox: Inbox) -> None:
    webhook = subscribe(owner, inbox.url)
    make_task(owner)
    send(app)
    time.pass_(days=20)
    make_task(owner)
    send(app)
    time.pass_(days=11)
    with app.app_context():
        assert forget_old_deliveries() == 1
        assert forget_old_deliveries() == 0
    assert len(log_of(owner, webhook)) == 1
