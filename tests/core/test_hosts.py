"""The service answers under the names it was given."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

Maker = Callable[..., Flask]
NAMES = "tasks.example.org, .internal.example, [2001:db8::1]"


def status(client: FlaskClient, host: str, path: str = "/problems/not_found") -> int:
    return client.get(path, headers={"Host": host}).status_code


@pytest.fixture
def named(app_with: Maker) -> FlaskClient:
    return app_with(ALLOWED_HOSTS=NAMES, TRUSTED_PROXIES="10.0.0.1").test_client()


@pytest.mark.parametrize(
    "host",
    [
        "tasks.example.org",
        "Tasks.Example.ORG:8000",
        "tasks.example.org.",
        "internal.example",
        "a.b.internal.example",
        "[2001:db8::1]",
        "[2001:DB8::1]:8000",
    ],
)
def test_under_its_own_names_it_answers(named: FlaskClient, host: str) -> None:
    assert status(named, host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "tasks.example.org.evil.example",
        "eviltasks.example.org",
        "notinternal.example",
        "",
        "127.0.0.1",
    ],
)
def test_an_unknown_host_is_refused(named: FlaskClient, host: str) -> None:
    answer = named.get("/problems/not_found", headers={"Host": host})
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert answer.json is not None
    assert answer.json["code"] == "unknown_host"
    assert status(named, host, "/nowhere") == 400


@pytest.mark.parametrize("path", ["/health", "/api/health"])
def test_probes_may_ask_by_address(named: FlaskClient, path: str) -> None:
    assert status(named, "10.1.2.3:8000", path) == 200


def test_the_name_is_the_one_the_client_asked_the_proxy_for(named: FlaskClient) -> None:
    headers = {"Host": "10.1.2.3", "X-Forwarded-Host": "tasks.example.org"}
    by_proxy = named.get("/problems/not_found", headers=headers, environ_base={"REMOTE_ADDR": "10.0.0.1"})
    by_stranger = named.get("/problems/not_found", headers=headers)
    assert (by_proxy.status_code, by_stranger.status_code) == (200, 400)


@pytest.mark.parametrize("names", ["", "*", NAMES])
def test_what_is_no_host_is_refused(app_with: Maker, names: str) -> None:
    client = app_with(ALLOWED_HOSTS=names).test_client()
    for host in ("a b", "a/b", "user@tasks.example.org", "a,b", "[::1", "a:b", "ünï"):
        answer = client.get("/health", headers={"Host": host})
        assert (answer.status_code, answer.mimetype) == (400, "application/problem+json"), host


@pytest.mark.parametrize("names", ["", "*"])
def test_without_names_any_host_will_do(app_with: Maker, names: str) -> None:
    client = app_with(ALLOWED_HOSTS=names).test_client()
    for host in ("anything.example", "my_service:8000", "127.0.0.1", "[::1]:1", ""):
        assert status(client, host) == 200, host
