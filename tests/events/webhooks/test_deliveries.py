"""The log of a webhook, a test call, and sending once more."""

from typing import Any

import pytest
from flask import Flask

from taskapi.events.webhooks import sending
from taskapi.events.webhooks.sending import Item, Sent
from tests.events.webhooks.making import (
    Inbox,
    detail_of,
    log_of,
    path_of,
    send,
    subscribe,
    sweep,
    verify,
)
from tests.people import Person
from tests.schedules.making import Time
from tests.tasks.making import make_task


def redeliver(person: Person, webhook: dict[str, Any], delivery: dict[str, Any]) -> dict[str, Any]:
    answer = person.post(path_of(webhook, "deliveries", delivery["id"], "redeliver"))
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_the_log_shows_what_was_sent_and_what_came_back(
    app: Flask, time: Time, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, inbox.url)
    inbox.statuses, inbox.body = [503, 200], b"not now\x00" + b"x" * 9999
    make_task(owner)
    send(app)
    time.pass_(seconds=10)
    sweep(app)
    (summary,) = log_of(owner, webhook)
    delivery = detail_of(owner, webhook, summary)
    assert delivery.items() >= summary.items()
    request = inbox.requests[0]
    assert (summary["status"], summary["error"], summary["response_status"]) == ("succeeded", None, 200)
    assert (summary["attempt_count"], summary["next_attempt_at"]) == (2, None)
    assert summary["message_id"] == request.headers["webhook-id"]
    assert delivery["request"]["body"] == request.get_data(as_text=True)
    assert (delivery["request"]["method"], delivery["request"]["url"]) == ("POST", inbox.url)
    failed, succeeded = delivery["attempts"]
    assert failed["error"] == {
        "code": "http_503",
        "message": "The receiver answered 503 Service Unavailable.",
    }
    assert failed["response"]["body"].startswith("not nowx")
    assert len(failed["response"]["body"]) == 4095
    assert (failed["url"], failed["duration_ms"] >= 0) == (inbox.url, True)
    assert failed["headers"]["webhook-signature"] == request.headers["webhook-signature"]
    assert (succeeded["response"]["status"], succeeded["error"]) == (200, None)
    assert webhook["secret"] not in str(delivery)


def test_the_log_is_filtered(app: Flask, owner: Person, inbox: Inbox) -> None:
    webhook = subscribe(owner, inbox.url, "*")
    inbox.statuses = [200, 410]
    make_task(owner)
    owner.post("/api/tags", {"name": "home"})
    send(app)
    (done,) = log_of(owner, webhook, status="SUCCEEDED")
    (failed,) = log_of(owner, webhook, type="Tag.Created")
    assert (done["type"], failed["status"]) == ("task.created", "failed")
    assert len(log_of(owner, webhook, created_after="2020-01-01")) == 2
    assert log_of(owner, webhook, created_before="2020-01-01") == []
    first = owner.get(path_of(webhook, "deliveries"), query_string={"per_page": 1}).json
    rest = owner.get(path_of(webhook, "deliveries"), query_string={"cursor": first["next_cursor"]}).json
    assert [first["items"][0]["id"], rest["items"][0]["id"]] == [failed["id"], done["id"]]


@pytest.mark.one_database
def test_a_delivery_of_another_webhook_is_not_found(app: Flask, owner: Person, inbox: Inbox) -> None:
    first, second = subscribe(owner, inbox.url), subscribe(owner, inbox.url, "run.*")
    make_task(owner)
    send(app)
    (delivery,) = log_of(owner, first)
    for more in ((), ("redeliver",)):
        method = "POST" if more else "GET"
        answer = owner.call(method, path_of(second, "deliveries", delivery["id"], *more))
        assert answer.json["code"] == "delivery_not_found"


@pytest.mark.one_database
def test_a_test_shows_what_is_sent_and_is_sent_once(app: Flask, owner: Person, inbox: Inbox) -> None:
    webhook = subscribe(owner, inbox.url)
    inbox.statuses = [500]
    answer = owner.post(path_of(webhook, "test"))
    shown = answer.json
    assert (answer.status_code, shown["status"], shown["type"]) == (202, "pending", "webhook.test")
    assert answer.headers["Location"] == path_of(webhook, "deliveries", shown["id"])
    send(app)
    (request,) = inbox.requests
    assert request.get_data(as_text=True) == shown["request"]["body"]
    assert verify(webhook["secret"], request)["type"] == "webhook.test"
    assert detail_of(owner, webhook, shown)["status"] == "failed"


def test_a_test_has_what_waits_tried_again_after_it(
    app: Flask, time: Time, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, inbox.url)
    inbox.statuses = [503, 200]
    make_task(owner)
    send(app)
    owner.post(path_of(webhook, "test"))
    send(app)
    assert inbox.types == ["task.created", "webhook.test", "task.created"]


def test_what_is_being_sent_when_others_are_put_before_it_is_not_sent_again(
    app: Flask, owner: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = subscribe(owner, inbox.url)
    make_task(owner)
    really_send = sending._send

    def while_tests_are_asked_for(item: Item) -> Sent:
        monkeypatch.undo()
        for _ in range(3):
            owner.post(path_of(webhook, "test"))
        return really_send(item)

    monkeypatch.setattr(sending, "_send", while_tests_are_asked_for)
    send(app)
    assert inbox.types == ["task.created", *["webhook.test"] * 3]


def test_a_delivery_is_made_once_more_under_its_id(app: Flask, owner: Person, inbox: Inbox) -> None:
    webhook = subscribe(owner, inbox.url)
    make_task(owner)
    send(app)
    (delivery,) = log_of(owner, webhook)
    assert redeliver(owner, webhook, delivery)["status"] == "pending"
    send(app)
    assert len(inbox.ids) == 2
    assert len(set(inbox.ids)) == 1
    assert detail_of(owner, webhook, delivery)["attempt_count"] == 2


@pytest.mark.one_database
def test_what_waits_is_sent_now_when_it_is_asked_for(
    app: Flask, time: Time, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, inbox.url)
    inbox.statuses = [503, 200]
    make_task(owner)
    send(app)
    redeliver(owner, webhook, log_of(owner, webhook)[0])
    send(app)
    assert log_of(owner, webhook)[0]["status"] == "succeeded"


def test_a_range_is_made_once_more_in_the_order_of_the_events(
    app: Flask, time: Time, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, inbox.url)
    owner.post(path_of(webhook, "test"))
    for number in range(4):
        make_task(owner, title=f"task {number}")
        send(app)
        time.pass_(hours=1)
    inbox.clear()
    hours = {"from": "2026-11-20T09:30:00Z", "to": "2026-11-20T11:30:00Z"}
    answer = owner.post(path_of(webhook, "redeliver"), hours)
    assert (answer.status_code, answer.json) == (202, {"count": 2})
    send(app)
    assert inbox.titles == ["task 1", "task 2"]
    nothing = owner.post(path_of(webhook, "redeliver"), {**hours, "status": "failed"})
    assert nothing.json == {"count": 0}
    day = {"from": "2026-11-20", "to": "2026-11-20"}
    assert owner.post(path_of(webhook, "redeliver"), day).json == {"count": 4}


@pytest.mark.one_database
def test_what_is_switched_off_sends_nothing_once_more(app: Flask, owner: Person, inbox: Inbox) -> None:
    webhook = subscribe(owner, inbox.url)
    make_task(owner)
    send(app)
    (delivery,) = log_of(owner, webhook)
    owner.patch(path_of(webhook), {"is_active": False})
    range_ = {"from": "2020-01-01", "to": "2100-01-01"}
    for more, json in (
        (("test",), None),
        (("redeliver",), range_),
        (("deliveries", delivery["id"], "redeliver"), None),
    ):
        answer = owner.post(path_of(webhook, *more), json)
        assert (answer.status_code, answer.json["code"]) == (409, "webhook_inactive")


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "from"),
        ({"from": "2026-11-20"}, "to"),
        ({"from": "now", "to": "2026-11-20"}, "from"),
        ({"from": "2026-11-20", "to": "2026-11-20", "status": "pending"}, "status"),
    ],
    ids=str,
)
def test_a_range_that_makes_no_sense_is_refused(
    owner: Person, inbox: Inbox, body: dict[str, Any], field: str
) -> None:
    answer = owner.post(path_of(subscribe(owner, inbox.url), "redeliver"), body)
    assert field in answer.json["errors"]
