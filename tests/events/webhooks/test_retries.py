"""What becomes of a delivery that fails: when it is tried again, and when it is given up."""

import socket
from typing import Any

import pytest
from flask import Flask
from pytest_httpserver import HTTPServer
from structlog.testing import capture_logs

from taskapi.clients.http import Answer, CallFailed, CallRefused, CallTimedOut, TlsFailed, Unreachable
from taskapi.events.webhooks import sending, verdicts
from taskapi.events.webhooks.verdicts import judge
from tests.clients.servers import Names, raw_server, saying, silent
from tests.counted import since_now
from tests.events.webhooks.making import Inbox, detail_of, get, log_of, path_of, send, subscribe, sweep
from tests.people import Person
from tests.schedules.making import Time
from tests.smtp import MailServer, body
from tests.tasks.making import make_task

DAY = 86_400.0


def answer(status: int, **headers: str) -> Answer:
    return Answer(
        status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}, body=b"", duration_ms=1
    )


def judged(result: Answer | CallFailed, *, tries: int = 1, elapsed: float = 0.0, refusals: int = 0) -> Any:
    return judge(result, tries=tries, elapsed=elapsed, refusals=refusals)


def errors(person: Person, webhook: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(item["status"], item["error"]) for item in log_of(person, webhook)]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_success(status: int) -> None:
    assert judged(answer(status)).outcome == "succeeded"


@pytest.mark.parametrize(
    "result",
    [
        *(pytest.param(answer(status), id=str(status)) for status in (408, 409, 425, 429, 500, 503, 599)),
        *(pytest.param(kind("no"), id=kind.code) for kind in (CallTimedOut, Unreachable, TlsFailed)),
    ],
)
def test_what_may_pass_is_tried_for_three_days(result: Answer | CallFailed) -> None:
    assert judged(result, tries=70, elapsed=3 * DAY - 60).outcome == "again"
    last = judged(result, tries=75, elapsed=3 * DAY)
    assert (last.outcome, last.disable) == ("failed", "failing")


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 413, 422, 451])
def test_a_refusal_is_tried_a_few_times(status: int) -> None:
    assert judged(answer(status), tries=5).outcome == "again"
    last = judged(answer(status), tries=6)
    assert (last.outcome, last.disable, last.refused) == ("failed", None, True)


def test_the_twentieth_refusal_in_a_row_switches_it_off() -> None:
    assert judged(answer(404), tries=6, refusals=18).disable is None
    assert judged(answer(404), tries=6, refusals=19).disable == "refusing"


def test_a_target_that_must_not_be_called_is_given_up_at_once() -> None:
    verdict = judged(CallRefused("no"))
    assert (verdict.outcome, verdict.disable, verdict.refused) == ("failed", None, True)


def test_pauses_double_up_to_an_hour_and_differ_by_a_fifth() -> None:
    for tries, pause in ((1, 5), (2, 10), (5, 80), (9, 1280), (14, 3600), (80, 3600)):
        found = [judged(answer(503), tries=tries).pause for _ in range(50)]
        assert min(found) >= pause * 0.8
        assert max(found) <= min(pause * 1.2, 3600)
        # At the end of an hour half of them are cut.
        assert len(set(found)) > 5


@pytest.mark.parametrize(("asked", "pause"), [("120", 120), ("86400", DAY), ("9999999", DAY), ("1", 4)])
def test_retry_after_is_heeded_within_a_day(asked: str, pause: float) -> None:
    found = judged(answer(503, Retry_After=asked)).pause
    assert pause <= found <= max(pause, 6)


def test_the_last_try_comes_when_three_days_are_over() -> None:
    assert judged(answer(503, Retry_After="86400"), elapsed=3 * DAY - 60).pause == 60


def test_a_receiver_that_is_down_for_an_hour_gets_everything_once_and_in_order(
    app: Flask, time: Time, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, inbox.url)
    inbox.statuses = [503]
    for number in range(5):
        make_task(owner, title=f"task {number}")
    send(app)
    calls = []
    for _ in range(12):
        time.pass_(minutes=5)
        sweep(app)
        calls.append(len(inbox.requests))
    # The oldest one only, and ever more rarely.
    assert set(inbox.titles) == {"task 0"}
    assert calls[-1] < 12
    inbox.statuses = [200]
    inbox.clear()
    time.pass_(minutes=61)
    sweep(app)
    assert inbox.titles == [f"task {number}" for number in range(5)]
    assert len(set(inbox.ids)) == 5
    assert {item["status"] for item in log_of(owner, webhook)} == {"succeeded"}


@pytest.mark.one_database
def test_every_attempt_sends_the_same_bytes_under_the_same_id(
    app: Flask, time: Time, owner: Person, inbox: Inbox
) -> None:
    subscribe(owner, inbox.url)
    inbox.statuses = [500, 200]
    task = make_task(owner, title="then")
    send(app)
    owner.patch(f"/api/tasks/{task['id']}", {"title": "now"})
    time.pass_(seconds=10)
    sweep(app)
    first, second = inbox.requests[:2]
    assert first.get_data() == second.get_data()
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] < second.headers["webhook-timestamp"]


@pytest.mark.one_database
def test_nothing_is_sent_before_the_pause_is_over(
    app: Flask, time: Time, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, inbox.url)
    inbox.statuses, inbox.headers = [503, 200], {"Retry-After": "600"}
    make_task(owner)
    send(app)
    (waiting,) = log_of(owner, webhook)
    assert waiting["next_attempt_at"] > waiting["last_attempt_at"]
    time.pass_(minutes=9)
    make_task(owner)
    send(app)
    sweep(app)
    assert len(inbox.requests) == 1
    time.pass_(minutes=2)
    sweep(app)
    assert len(inbox.requests) == 3


@pytest.mark.one_database
def test_one_message_that_is_refused_holds_up_the_others_for_minutes_only(
    app: Flask, time: Time, owner: Person, inbox: Inbox
) -> None:
    counted = since_now(app, "taskapi_webhook_deliveries_total")
    webhook = subscribe(owner, inbox.url)
    inbox.statuses = [*[422] * verdicts.REFUSED_TRIES, 200]
    make_task(owner, title="poison")
    make_task(owner, title="Tea")
    send(app)
    for _ in range(10):
        time.pass_(seconds=60)
        sweep(app)
    assert inbox.titles == [*["poison"] * verdicts.REFUSED_TRIES, "Tea"]
    assert errors(owner, webhook) == [("failed", "http_422"), ("succeeded", None)]
    assert counted() == {("postponed",): verdicts.REFUSED_TRIES - 1, ("failed",): 1, ("succeeded",): 1}
    assert get(owner, webhook)["is_active"] is True


@pytest.mark.one_database
def test_a_webhook_follows_no_redirect(
    app: Flask, time: Time, owner: Person, inbox: Inbox, receiver: HTTPServer
) -> None:
    elsewhere = Inbox(receiver, "/elsewhere")
    webhook = subscribe(owner, inbox.url)
    inbox.statuses, inbox.headers = [302], {"Location": elsewhere.url}
    make_task(owner)
    send(app)
    assert (len(inbox.requests), elsewhere.requests) == (1, [])
    assert errors(owner, webhook) == [("pending", "http_302")]


def test_410_switches_it_off_at_once_and_the_owner_is_told(
    app: Flask, time: Time, owner: Person, inbox: Inbox, mail_server: MailServer
) -> None:
    webhook = subscribe(owner, inbox.url, description="The board")
    inbox.statuses = [410]
    make_task(owner)
    make_task(owner)
    send(app)
    send(app)
    sweep(app)
    assert len(inbox.requests) == 1
    now = get(owner, webhook)
    assert (now["is_active"], now["disabled_reason"], now["version"]) == (False, "gone", 2)
    (told,) = owner.get("/api/notifications").json["items"]
    assert (told["type"], told["title"]) == ("webhook_disabled", "Switched off: The board")
    (mail,) = mail_server.messages
    assert "410 Gone" in body(mail, "plain")
    assert errors(owner, webhook) == [("failed", "http_410"), ("pending", None)]


def test_after_three_days_it_is_switched_off_and_goes_on_when_it_is_switched_on(
    app: Flask, time: Time, owner: Person, inbox: Inbox, mail_server: MailServer
) -> None:
    webhook = subscribe(owner, inbox.url)
    inbox.statuses = [500]
    make_task(owner, title="first")
    make_task(owner, title="second")
    send(app)
    time.pass_(days=3)
    with capture_logs() as lines:
        sweep(app)
    assert "webhook.disabled" in [line["event"] for line in lines]
    send(app)
    assert get(owner, webhook)["disabled_reason"] == "failing"
    assert len(mail_server.messages) == 1
    make_task(owner, title="meanwhile")
    send(app)
    inbox.statuses = [200]
    inbox.clear()
    assert owner.patch(path_of(webhook), {"is_active": True}).json["disabled_reason"] is None
    send(app)
    assert inbox.titles == ["second"]


@pytest.mark.one_database
def test_twenty_refused_messages_in_a_row_switch_it_off(
    app: Flask, time: Time, owner: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "REFUSED_TRIES", 1)
    monkeypatch.setattr(verdicts, "REFUSALS_IN_A_ROW", 3)
    webhook = subscribe(owner, inbox.url)
    inbox.statuses = [404, 404, 200, 404, 404, 404]
    for _ in range(7):
        make_task(owner)
    send(app)
    assert len(inbox.requests) == 6
    assert get(owner, webhook)["disabled_reason"] == "refusing"


@pytest.mark.one_database
def test_a_target_that_became_private_is_refused(
    app: Flask, time: Time, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names.installed(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    webhook = subscribe(owner, "http://rebound.example.com/hook")
    make_task(owner)
    send(app)
    assert errors(owner, webhook) == [("failed", "target_refused")]
    assert names.asked.count("rebound.example.com") == 2


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (silent, "timeout"),
        (saying(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536, repeat=10_000), None),
        (saying(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 9999, repeat=99), "bad_answer"),
        (saying(b"nonsense\r\n\r\n"), "bad_answer"),
        (saying(b""), "unreachable"),
    ],
    ids=["silence", "endless body", "endless header", "nonsense", "hangs up"],
)
def test_a_receiver_that_misbehaves_costs_little(
    app: Flask,
    time: Time,
    owner: Person,
    inbox: Inbox,
    monkeypatch: pytest.MonkeyPatch,
    behave: Any,
    error: str | None,
) -> None:
    monkeypatch.setattr(sending, "CALL_SECONDS", 0.5 if error else 5.0)
    with raw_server(behave) as port:
        webhook = subscribe(owner, f"http://127.0.0.1:{port}/")
        make_task(owner)
        send(app)
    (delivery,) = log_of(owner, webhook)
    assert delivery["error"] == error
    (attempt,) = detail_of(owner, webhook, delivery)["attempts"]
    assert attempt["response"] is None or len(attempt["response"]["body"]) <= 4096


@pytest.mark.one_database
def test_what_nobody_listens_to_is_tried_again(app: Flask, time: Time, owner: Person, inbox: Inbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    webhook = subscribe(owner, f"http://127.0.0.1:{port}/")
    make_task(owner)
    send(app)
    assert errors(owner, webhook) == [("pending", "unreachable")]
