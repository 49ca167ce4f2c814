"""Which requests become a WebSocket, and how the others are answered."""

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from taskapi.environment import Rate
from tests.events.live.listening import UPGRADE, Listening, ask, bearer
from tests.people import Person

pytestmark = pytest.mark.one_database


def test_the_answer_to_the_handshake_is_that_of_the_standard(listening: Listening, owner: Person) -> None:
    offered = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    answer = ask(listening.app, f"/ws/{owner.access_token}", {**UPGRADE, **offered})
    assert answer.status_code == 101
    assert answer.headers["Upgrade"] == "websocket"
    # RFC 6455, 1.3.
    assert answer.headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Request-ID"]
    assert "Sec-WebSocket-Extensions" not in answer.headers


CASES: dict[str, tuple[dict[str, str | None], int, str]] = {
    "no upgrade": ({"Upgrade": None, "Connection": None}, 426, "upgrade_required"),
    "another protocol": ({"Upgrade": "h2c"}, 426, "upgrade_required"),
    "another version": ({"Sec-WebSocket-Version": "8"}, 426, "upgrade_required"),
    "no key": ({"Sec-WebSocket-Key": None}, 400, "bad_handshake"),
    "a short key": ({"Sec-WebSocket-Key": "AAAA"}, 400, "bad_handshake"),
    "no base64": ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=?"}, 400, "bad_handshake"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("path", ["/ws", "/ws/token", "/ws/"])
def test_anything_else_is_a_problem(app: Flask, path: str, case: str) -> None:
    changed, status, code = CASES[case]
    headers = {name: value for name, value in {**UPGRADE, **changed}.items() if value is not None}
    answer = ask(app, path, headers)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    if status == 426:
        assert answer.headers["Upgrade"] == "websocket"
    if case == "another version":
        assert answer.headers["Sec-WebSocket-Version"] == "13"


def test_only_http_1_1_becomes_a_websocket(app: Flask) -> None:
    environ = {"SERVER_PROTOCOL": "HTTP/1.0"}
    answer = app.test_client().get("/ws", headers=UPGRADE, environ_overrides=environ)
    assert answer.status_code == 426
    assert app.test_client().post("/ws").status_code == 405
    assert app.test_client().head("/ws", headers=UPGRADE).status_code == 426


ORIGINS = {
    # By what the service calls itself, and by what it was called.
    "http://127.0.0.1:8000": 101,
    "http://localhost": 101,
    "https://localhost": 101,
    "HTTP://LOCALHOST:80": 101,
    "http://localhost:81": 403,
    "https://localhost:80": 403,
    "http://app.example.org": 101,
    "http://app.example.org.evil.example": 403,
    "https://evil.example": 403,
    "http://localhost.evil.example": 403,
    "ftp://localhost": 403,
    "null": 403,
    "": 403,
}


@pytest.fixture
def with_site(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    settings = replace(app.extensions["taskapi_settings"], cors_origins=("http://app.example.org",))
    monkeypatch.setitem(app.extensions, "taskapi_settings", settings)
    return app


@pytest.mark.parametrize("origin", ORIGINS)
def test_pages_of_other_sites_are_refused_before_the_upgrade(
    with_site: Flask, listening: Listening, owner: Person, origin: str
) -> None:
    answer = ask(with_site, f"/ws/{owner.access_token}", {**UPGRADE, "Origin": origin})
    assert answer.status_code == ORIGINS[origin], answer.text
    if answer.status_code == 403:
        assert answer.json["code"] == "foreign_origin"


def test_where_all_sites_may_call_only_null_may_not(
    app: Flask, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(app.extensions["taskapi_settings"], cors_origins=("*",))
    monkeypatch.setitem(app.extensions, "taskapi_settings", settings)
    statuses = [
        ask(app, "/ws", {**UPGRADE, "Origin": origin}).status_code for origin in ("https://a.example", "null")
    ]
    assert statuses == [101, 403]


def test_a_connection_with_a_token_in_its_query_is_refused(app: Flask, owner: Person) -> None:
    for path, headers in (("/ws", UPGRADE), ("/api/events", {})):
        answer = ask(app, f"{path}?token=x", {**headers, **bearer(owner.access_token)})
        assert answer.status_code == 422
        assert answer.json["errors"].keys() == {"token"}


def test_a_server_that_cannot_give_its_connection_away_says_so(client: FlaskClient, owner: Person) -> None:
    for path, headers in (("/ws", UPGRADE), ("/api/events", {})):
        answer = client.get(path, headers={**headers, **bearer(owner.access_token)})
        assert answer.status_code == 503
        assert answer.json is not None
        assert answer.json["code"] == "live_unavailable"


def test_a_process_keeps_so_many_connections_and_no_more(
    app: Flask, listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(app.extensions["taskapi_settings"], live_connections=1)
    monkeypatch.setitem(app.extensions, "taskapi_settings", settings)
    first = listening.websocket(owner)
    assert first.is_silent()
    answer = ask(app, f"/ws/{owner.access_token}", UPGRADE)
    assert (answer.status_code, answer.json["code"]) == (503, "too_many_connections")
    assert int(answer.headers["Retry-After"]) > 0
    first.close()
    listening.wait_for_connections(0)
    assert ask(app, f"/ws/{owner.access_token}", UPGRADE).status_code == 101


def test_each_connection_counts_as_a_request_of_who_opens_it(
    app: Flask, listening: Listening, owner: Person, teammate: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(app.extensions["taskapi_settings"], rate_limit_default=Rate(2, 60))
    monkeypatch.setitem(app.extensions, "taskapi_settings", settings)
    statuses = [ask(app, f"/ws/{owner.access_token}", UPGRADE).status_code for _ in range(3)]
    assert statuses == [101, 101, 429]
    # A colleague behind the same address is not held up by that.
    assert ask(app, f"/ws/{teammate.access_token}", UPGRADE).status_code == 101
