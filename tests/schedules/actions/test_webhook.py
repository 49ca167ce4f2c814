"""The action webhook, against a real receiver."""

import base64
import socket
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from pytest_httpserver import HTTPServer
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from taskapi.version import VERSION
from tests.clients.servers import Names, raw_server, saying, silent
from tests.clients.targets import HOSTILE
from tests.people import Person
from tests.schedules.actions.calling import called, refusals, run_now, run_of
from tests.schedules.making import Time, make
from tests.settings import settings_changed
from tests.work import tick

ENCODED = "whsec_" + base64.b64encode(b"a key of twenty-four byt").decode()
once_per_database = pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)


def log_of(person: Person, run: dict[str, Any]) -> list[tuple[str, str]]:
    items = person.get(f"/api/runs/{run['id']}/log").json["items"]
    return [(item["level"], item["message"]) for item in items]


def test_a_call_that_is_answered_with_success_completes_its_run(
    app: Flask, owner: Person, receiver: HTTPServer
) -> None:
    receiver.expect_request("/hook", method="POST").respond_with_data("thank you", status=201)
    params = {"body": {"text": "Grüße", "n": [1, 2.5, None]}, "headers": {"X-Team": "blue"}}
    run = called(app, owner, receiver.url_for("/hook?key=abc"), **params)
    assert run["status"] == "completed", run
    duration = run["result"].pop("duration_ms")
    assert run["result"] == {"status": 201, "body": "thank you"}
    assert 0 <= duration < 5000
    ((request, _response),) = receiver.log
    assert request.json == params["body"]
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == f"taskapi/{VERSION}"
    assert request.headers["Idempotency-Key"] == run["id"]
    assert request.headers["X-Team"] == "blue"
    assert "webhook-signature" not in request.headers
    asked, answered = log_of(owner, run)
    assert asked == ("info", f"POST {receiver.url_for('/hook')}")
    assert answered[1].startswith("Answered 201 Created in ")


@once_per_database
@pytest.mark.parametrize(
    ("method", "body", "sent", "content_type"),
    [
        ("post", "plain text, ä", "plain text, ä".encode(), "text/plain; charset=utf-8"),
        ("PUT", [1, "a"], b'[1,"a"]', "application/json"),
        ("Patch", False, b"false", "application/json"),
        ("DELETE", None, b"", None),
        ("GET", None, b"", None),
    ],
)
def test_any_json_value_or_text_is_sent(
    app: Flask,
    owner: Person,
    receiver: HTTPServer,
    method: str,
    body: Any,
    sent: bytes,
    content_type: str | None,
) -> None:
    receiver.expect_request("/").respond_with_data("ok")
    assert called(app, owner, receiver.url_for("/"), method=method, body=body)["status"] == "completed"
    request = receiver.log[0][0]
    assert (request.method, request.get_data()) == (method.upper(), sent)
    assert request.headers.get("Content-Type") == content_type


@once_per_database
def test_the_type_of_the_body_may_be_said(app: Flask, owner: Person, receiver: HTTPServer) -> None:
    receiver.expect_request("/").respond_with_data("ok")
    called(app, owner, receiver.url_for("/"), body="<a/>", headers={"content-type": "application/xml"})
    assert receiver.log[0][0].headers.getlist("Content-Type") == ["application/xml"]


@once_per_database
@pytest.mark.parametrize(
    ("secret", "key"),
    [(ENCODED, ENCODED), ("correct horse", base64.b64encode(b"correct horse").decode())],
)
@pytest.mark.parametrize("body", [{"a": "ä"}, "text", None])
def test_a_signature_is_verified_by_the_library_of_the_standard(
    app: Flask, owner: Person, receiver: HTTPServer, secret: str, key: str, body: Any
) -> None:
    receiver.expect_request("/").respond_with_data("ok")
    run = called(app, owner, receiver.url_for("/"), body=body, secret=secret)
    request = receiver.log[0][0]
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["webhook-id"] == run["id"]
    content = request.get_data()
    # The library reads what it has verified as JSON, which an empty body or text is not.
    verify = Webhook(key)
    assert headers["webhook-signature"] == verify.sign(run["id"], _moment(headers), content.decode())
    if isinstance(body, dict):
        assert verify.verify(content, headers) == body
        for tampered in (
            {**headers, "webhook-id": "another"},
            {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)},
        ):
            with pytest.raises(WebhookVerificationError):
                verify.verify(content, tampered)
        with pytest.raises(WebhookVerificationError):
            verify.verify(content + b" ", headers)


def _moment(headers: dict[str, str]) -> datetime:
    return datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)


@once_per_database
@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
def test_an_answer_that_may_change_is_tried_again(
    app: Flask, owner: Person, receiver: HTTPServer, status: int
) -> None:
    receiver.expect_request("/").respond_with_data("not now", status=status)
    run = called(app, owner, receiver.url_for("/"))
    assert (run["status"], run["attempt"], run["error"]["code"]) == ("pending", 1, f"http_{status}")


@once_per_database
@pytest.mark.parametrize("status", [300, 304, 307, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 451])
def test_any_other_answer_fails_the_run_at_once(
    app: Flask, owner: Person, receiver: HTTPServer, status: int
) -> None:
    receiver.expect_request("/").respond_with_data("no", status=status)
    run = called(app, owner, receiver.url_for("/"))
    assert (run["status"], run["attempt"], run["error"]["code"]) == ("failed", 1, f"http_{status}")
    assert f"answered {status}" in run["error"]["message"]


def test_a_failure_keeps_the_beginning_of_the_answer_in_the_log(
    app: Flask, owner: Person, receiver: HTTPServer
) -> None:
    receiver.expect_request("/").respond_with_data(b"no such channel\x00" + b"x" * 9999, status=404)
    run = called(app, owner, receiver.url_for("/"))
    level, text = log_of(owner, run)[-1]
    assert level == "warning"
    assert text.startswith("no such channelx")
    assert len(text) == 500


@once_per_database
def test_a_redirect_fails_and_says_where_it_leads(app: Flask, owner: Person, receiver: HTTPServer) -> None:
    inner = receiver.url_for("/inner")
    receiver.expect_request("/").respond_with_data(status=302, headers={"Location": inner})
    run = called(app, owner, receiver.url_for("/"))
    assert (run["status"], run["error"]["code"]) == ("failed", "http_302")
    assert "not followed" in run["error"]["message"]
    assert inner in run["error"]["message"]
    assert len(receiver.log) == 1


@pytest.mark.parametrize(("asked", "waited"), [("120", 120), ("Fri, 20 Nov 2026 09:02:00 GMT", 120)])
def test_the_next_attempt_waits_as_long_as_the_receiver_asks(
    app: Flask, owner: Person, receiver: HTTPServer, time: Time, asked: str, waited: int
) -> None:
    receiver.expect_ordered_request("/").respond_with_data(status=429, headers={"Retry-After": asked})
    receiver.expect_ordered_request("/").respond_with_data("ok")
    policy = {"retry": {"max_attempts": 2, "delay": 0}}
    run = called(app, owner, receiver.url_for("/"), policy=policy)
    time.pass_(seconds=waited - 1)
    tick(app)
    assert run_of(owner, run["id"])["status"] == "pending"
    time.pass_(seconds=1)
    tick(app)
    assert run_of(owner, run["id"])["status"] == "completed"
    keys = {request.headers["Idempotency-Key"] for request, _ in receiver.log}
    assert keys == {run["id"]}, "the receiver can tell that both calls are one"


@once_per_database
def test_a_receiver_cannot_put_off_the_next_attempt_beyond_max_delay(
    app: Flask, owner: Person, receiver: HTTPServer, time: Time
) -> None:
    receiver.expect_ordered_request("/").respond_with_data(status=503, headers={"Retry-After": "99999999"})
    receiver.expect_ordered_request("/").respond_with_data("ok")
    policy = {"retry": {"max_attempts": 2, "delay": 0, "max_delay": 60}}
    run = called(app, owner, receiver.url_for("/"), policy=policy)
    time.pass_(seconds=60)
    tick(app)
    assert run_of(owner, run["id"])["status"] == "completed"


@once_per_database
@pytest.mark.parametrize(
    ("behave", "code"),
    [(saying(b""), "unreachable"), (saying(b"220 SMTP\r\n"), "bad_answer"), (silent, "timeout")],
)
def test_a_call_without_an_answer_is_tried_again(
    app: Flask, owner: Person, receiver: HTTPServer, behave: Any, code: str
) -> None:
    with raw_server(behave) as port:
        run = called(app, owner, f"http://127.0.0.1:{port}/", policy={"timeout": 1})
    assert (run["status"], run["error"]["code"]) == ("pending", code)


@once_per_database
def test_of_a_long_answer_the_beginning_is_kept(app: Flask, owner: Person, receiver: HTTPServer) -> None:
    receiver.expect_request("/").respond_with_data(b"\xff\x00" + b"x" * 100_000)
    run = called(app, owner, receiver.url_for("/"))
    assert run["result"]["body"] == "\ufffd" + "x" * 4094


@once_per_database
@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_target_is_refused_when_the_schedule_is_made(app: Flask, owner: Person, url: str) -> None:
    assert refusals(owner, url=url).keys() == {"params.url"}


@once_per_database
def test_a_name_that_leads_to_a_private_address_is_refused_when_the_schedule_is_made(
    app: Flask, owner: Person
) -> None:
    assert "WEBHOOK_ALLOW_PRIVATE" in refusals(owner, url="http://localhost:8000/")["params.url"][0]


@once_per_database
def test_a_name_that_is_unknown_now_is_taken(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_args: Any, **_kwargs: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    make(owner, action="webhook", params={"url": "https://receiver.invalid/"}, every=3600)


def test_a_target_that_is_hostile_by_the_time_of_the_call_is_refused_for_good(
    app: Flask, owner: Person, receiver: HTTPServer
) -> None:
    schedule = make(owner, action="webhook", params={"url": receiver.url_for("/")}, every=3600)
    with settings_changed(app, webhook_allow_private=()):
        run = run_now(app, owner, schedule)
    assert (run["status"], run["error"]["code"]) == ("failed", "target_refused")
    assert receiver.log == []


@once_per_database
def test_a_name_that_leads_elsewhere_by_the_time_of_the_call_is_refused(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    Names.installed(monkeypatch, ["93.184.215.14"], ["169.254.169.254"])
    run = called(app, owner, "http://receiver.example/latest/meta-data")
    assert (run["status"], run["error"]["code"]) == ("failed", "target_refused")


@once_per_database
@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "params.url"),
        ({"url": 5}, "params.url"),
        ({"method": "TRACE"}, "params.method"),
        ({"method": "CONNECT"}, "params.method"),
        ({"methd": "GET"}, "params.methd"),
        ({"headers": {"Host": "inner"}}, "params.headers.Host.key"),
        ({"headers": {"content-length": "5"}}, "params.headers.content-length.key"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "params.headers.Transfer-Encoding.key"),
        ({"headers": {"Connection": "close"}}, "params.headers.Connection.key"),
        ({"headers": {"Webhook-Signature": "v1,x"}}, "params.headers.Webhook-Signature.key"),
        ({"headers": {"Idempotency-Key": "1"}}, "params.headers.Idempotency-Key.key"),
        ({"headers": {"X A": "1"}}, "params.headers.X A.key"),
        ({"headers": {"X:": "1"}}, "params.headers.X:.key"),
        ({"headers": {"": "1"}}, "params.headers..key"),
        ({"headers": {"X": "a\r\nHost: inner"}}, "params.headers.X.value"),
        ({"headers": {"X": "ä"}}, "params.headers.X.value"),
        ({"headers": {"X": 5}}, "params.headers.X.value"),
        ({"headers": {"X": "a" * 4001}}, "params.headers.X.value"),
        ({"headers": {"X": "1", "x": "2"}}, "params.headers"),
        ({"headers": {f"X-{n}": "1" for n in range(51)}}, "params.headers"),
        ({"headers": ["X"]}, "params.headers"),
        ({"body": "a" * 65_537}, "params.body"),
        ({"secret": ""}, "params.secret"),
        ({"secret": "whsec_"}, "params.secret"),
        ({"secret": "whsec_no base64!"}, "params.secret"),
        ({"secret": "a" * 501}, "params.secret"),
        ({"secret": {"$sealed": "gAAAA"}}, "params.secret"),
        ({"secret": None}, "params.secret"),
    ],
)
def test_params_that_cannot_be_sent_are_refused(
    app: Flask, owner: Person, params: dict[str, Any], field: str
) -> None:
    url = {} if field == "params.url" else {"url": "https://93.184.215.14/"}
    assert field in refusals(owner, **url, **params)


@once_per_database
def test_the_list_of_actions_describes_its_params(app: Flask, owner: Person) -> None:
    actions = {item["name"]: item for item in owner.get("/api/actions").json["items"]}
    schema = actions["webhook"]["params"]
    assert schema["required"] == ["url"]
    assert schema["properties"]["method"]["enum"] == ["GET", "POST", "PUT", "PATCH", "DELETE"]
    assert schema["properties"]["headers"]["additionalProperties"] == {"type": "string"}
    assert schema["properties"]["secret"]["writeOnly"] is True
    assert "type" not in schema["properties"]["body"]
