"""Rate limits: who is counted, where, what is told of it, and what holds while Redis is away."""

import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from taskapi.background.embedded import EmbeddedRedis
from taskapi.config import embedded_redis_url
from tests.people import PASSWORD, Person

Maker = Callable[..., Flask]
HEADERS = {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}
LOGIN = "/api/auth/login"


def get(client: FlaskClient, token: str = "", *, peer: str = "192.0.2.1", path: str = "/probe/read") -> int:
    """The status of a request from this address."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.get(path, headers=headers, environ_base={"REMOTE_ADDR": peer}).status_code


def log_in(client: FlaskClient, *, peer: str = "192.0.2.1", password: str = "wrong") -> TestResponse:
    body = {"email": "olivia@example.org", "password": password}
    return client.post(LOGIN, json=body, environ_base={"REMOTE_ADDR": peer})


def told(answer: TestResponse) -> dict[str, int]:
    return {name: int(value) for name, value in answer.headers.items() if name in HEADERS | {"Retry-After"}}


@pytest.fixture
def two(app_with: Maker) -> FlaskClient:
    """A client of an application that allows two requests a minute."""
    return app_with(RATE_LIMIT_DEFAULT="2/minute").test_client()


def test_what_goes_beyond_the_limit_is_refused_with_the_time_to_wait(two: FlaskClient) -> None:
    assert [get(two, "all") for _ in range(2)] == [200, 200]
    answer = two.get("/probe/read", headers={"Authorization": "Bearer all"})
    assert answer.json is not None
    assert (answer.status_code, answer.json["code"]) == (429, "rate_limited")
    assert answer.mimetype == "application/problem+json"
    assert 59 <= int(answer.headers["Retry-After"]) == int(answer.headers["RateLimit-Reset"]) <= 60


def test_answers_count_down_and_never_below_zero(two: FlaskClient) -> None:
    answers = [told(two.get("/problems/not_found")) for _ in range(4)]
    assert [answer["RateLimit-Remaining"] for answer in answers] == [1, 0, 0, 0]
    assert {answer["RateLimit-Limit"] for answer in answers} == {2}
    assert ["Retry-After" in answer for answer in answers] == [False, False, True, True]


def test_all_tokens_of_a_user_count_together_from_wherever(two: FlaskClient) -> None:
    assert get(two, "all", peer="192.0.2.1") == 200
    assert get(two, "reader", peer="192.0.2.2") == 200
    assert get(two, "admin", peer="192.0.2.3") == 429


def test_users_behind_one_address_are_counted_apart(two: FlaskClient) -> None:
    assert [get(two, "all") for _ in range(3)] == [200, 200, 429]
    assert [get(two, "other") for _ in range(3)] == [200, 200, 429]


def test_who_sends_no_token_or_a_bad_one_is_counted_by_address(two: FlaskClient) -> None:
    assert [get(two), get(two, "forged"), get(two, "forged again")] == [401, 401, 429]
    assert get(two, peer="192.0.2.2") == 401
    assert get(two, "all") == 200


@pytest.mark.parametrize(
    ("peers", "last"),
    [
        (("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:f00::1"), 429),
        (("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"), 401),
        (("192.0.2.9", "::ffff:192.0.2.9", "192.0.2.9"), 429),
        (("192.0.2.9", "192.0.2.8", "192.0.2.9"), 401),
        (("fe80::1%eth0", "fe80::2%eth0", "fe80::3"), 429),
    ],
)
def test_an_ipv6_network_counts_as_one_address(
    two: FlaskClient, peers: tuple[str, str, str], last: int
) -> None:
    """Other addresses of one's own network are no way around a limit."""
    assert [get(two, peer=peer) for peer in peers] == [401, 401, last]


@pytest.mark.parametrize(
    ("path", "token", "headers", "status"),
    [
        ("/probe/read", "all", {}, 200),
        ("/probe/things/1", "", {"If-None-Match": '"v3"'}, 304),
        ("/probe/read", "", {}, 401),
        ("/probe/write", "reader", {}, 403),
        ("/nowhere", "", {}, 404),
        ("/api/auth/logout", "", {}, 405),
        ("/probe/things?zzz=1", "", {}, 422),
        ("/probe/bug", "", {}, 500),
        ("/openapi.json", "", {}, 200),
    ],
)
def test_every_answer_tells_of_the_limit(
    app_with: Maker, path: str, token: str, headers: dict[str, str], status: int
) -> None:
    if token:
        headers = {**headers, "Authorization": f"Bearer {token}"}
    answer = app_with(RATE_LIMIT_DEFAULT="5/hour").test_client().get(path, headers=headers)
    assert answer.status_code == status
    assert told(answer).keys() == HEADERS
    assert 3599 <= told(answer)["RateLimit-Reset"] <= 3600


@pytest.mark.parametrize(
    "path", ["/health", "/api/health", "/api/health/ready", "/docs/assets/swagger-ui.css"]
)
def test_probes_and_assets_are_never_refused_nor_counted(two: FlaskClient, path: str) -> None:
    for _ in range(5):
        answer = two.get(path)
        assert (answer.status_code == 429, told(answer)) == (False, {})
        # An asset is an open file.
        answer.close()
    assert get(two, peer="127.0.0.1") == 401


def test_asking_for_the_methods_is_not_counted(two: FlaskClient) -> None:
    assert {two.options("/probe/read").status_code for _ in range(5)} == {200}
    assert get(two, peer="127.0.0.1") == 401


def test_without_limits_nothing_is_told_of_them(app_with: Maker) -> None:
    client = app_with(RATE_LIMIT_DEFAULT="off", RATE_LIMIT_AUTH="off").test_client()
    for answer in (client.get("/probe/read"), client.post(LOGIN, json={})):
        assert told(answer) == {}


def test_a_limit_of_sign_in_is_kept_per_endpoint_and_address(app_with: Maker) -> None:
    client = app_with(RATE_LIMIT_DEFAULT="100/minute", RATE_LIMIT_AUTH="2/minute").test_client()
    assert [client.post(LOGIN, json={}).status_code for _ in range(3)] == [422, 422, 429]
    assert client.post("/api/auth/register", json={}).status_code == 422
    elsewhere = client.post(LOGIN, json={}, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert told(elsewhere)["RateLimit-Limit"] == 2
    assert elsewhere.status_code == 422


def test_sign_in_does_not_use_up_the_requests_of_others_at_the_address(app_with: Maker) -> None:
    client = app_with(RATE_LIMIT_DEFAULT="1/minute", RATE_LIMIT_AUTH="2/minute").test_client()
    assert [client.post(LOGIN, json={}).status_code for _ in range(3)] == [422, 422, 429]
    assert get(client, peer="127.0.0.1") == 401


def test_a_refused_sign_in_costs_no_reading_and_no_hashing(app_with: Maker) -> None:
    client = app_with(RATE_LIMIT_AUTH="1/minute").test_client()
    answers = [client.post(LOGIN, data="{", content_type="application/json") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [400, 429]


def test_who_waits_as_long_as_told_is_served_again(app_with: Maker) -> None:
    client = app_with(RATE_LIMIT_DEFAULT="1/second").test_client()
    answers = (client.get("/probe/read", environ_base={"REMOTE_ADDR": "192.0.2.1"}) for _ in range(100))
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert told(refused)["Retry-After"] == 1
    time.sleep(1)
    assert get(client) == 401


def test_all_processes_count_together_and_redis_forgets_in_time(app_with: Maker, redis_url: str) -> None:
    apps = [app_with(RATE_LIMIT_DEFAULT="3/minute", APP_NAME=name) for name in ("one", "other")]
    clients = [app.test_client() for app in apps]
    assert [get(client) for client in clients * 2] == [401, 401, 401, 429]
    with Redis.from_url(redis_url) as redis:
        assert [0 < redis.pttl(key) <= 60_000 for key in redis.keys("taskapi:limit:*")] == [True]


def test_while_redis_is_away_each_process_counts_for_itself(app_with: Maker) -> None:
    away = "unix:///nowhere/valkey.sock"
    apps = [app_with(away, RATE_LIMIT_DEFAULT="2/minute", APP_NAME=name) for name in ("one", "other")]
    clients = [app.test_client() for app in apps]
    assert [get(client) for client in clients * 3] == [401, 401, 401, 401, 429, 429]


def test_another_window_begins_with_a_count_of_its_own(app_with: Maker) -> None:
    assert get(app_with(RATE_LIMIT_DEFAULT="1/day").test_client()) == 401
    assert get(app_with(RATE_LIMIT_DEFAULT="1/minute").test_client()) == 401


def test_requests_at_the_same_moment_are_counted_one_by_one(app_with: Maker) -> None:
    app = app_with(RATE_LIMIT_DEFAULT="10/minute")
    with ThreadPoolExecutor(8) as threads:
        statuses = Counter(threads.map(lambda _: get(app.test_client(), "all"), range(40)))
    assert statuses == {200: 10, 429: 30}


def test_sign_in_stays_limited_when_redis_stops(
    app: Flask, owner: Person, app_with: Maker, tmp_path: Path
) -> None:
    """Redis stopped: no failure of ours, and no more guesses than before."""
    server = EmbeddedRedis(tmp_path)
    server.start()
    database = app.config["SQLALCHEMY_DATABASE_URI"]
    limited = app_with(embedded_redis_url(tmp_path), RATE_LIMIT_AUTH="3/minute", DATABASE_URL=database)
    client = limited.test_client()
    assert log_in(client, password=PASSWORD).status_code == 200
    server.stop()
    answers = [log_in(client) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert told(answers[-1])["Retry-After"] >= 59
    assert log_in(client, password=PASSWORD, peer="192.0.2.2").status_code == 200


def test_a_redis_that_hangs_holds_up_one_request_and_not_each(app_with: Maker, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "mute.sock"))
        listener.listen()
        client = app_with(f"unix://{tmp_path}/mute.sock", RATE_LIMIT_DEFAULT="20/minute").test_client()
        started = time.monotonic()
        assert Counter(get(client) for _ in range(21)) == {401: 20, 429: 1}
        assert time.monotonic() - started < 10
