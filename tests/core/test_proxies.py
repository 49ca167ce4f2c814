"""Only trusted proxies are believed about clients."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

Maker = Callable[..., Flask]
PROXY, NEXT_PROXY, STRANGER = "10.0.0.1", "10.0.0.2", "203.0.113.5"


def shown_by(app: Flask) -> Callable[..., Any]:
    """Asks an endpoint of ``app`` what it knows of the client: address, scheme and host."""
    client = app.test_client()

    def ask(peer: str, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.get("/probe/client", headers=named, environ_base={"REMOTE_ADDR": peer}).json

    return ask


@pytest.fixture
def ask(app_with: Maker) -> Callable[..., Any]:
    return shown_by(app_with(TRUSTED_PROXIES="10.0.0.0/24, 2001:db8:1::/48"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        (PROXY, "198.51.100.7", "198.51.100.7"),
        (PROXY, f"198.51.100.7, {NEXT_PROXY}", "198.51.100.7"),
        (PROXY, "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        (PROXY, f"6.6.6.6,198.51.100.7 ,\t{NEXT_PROXY}", "198.51.100.7"),
        (PROXY, NEXT_PROXY, NEXT_PROXY),
        (PROXY, "", PROXY),
        (PROXY, "198.51.100.7:4711", "198.51.100.7"),
        (PROXY, "[2001:db8:9::1]:4711", "2001:db8:9::1"),
        (PROXY, "2001:db8:9::1", "2001:db8:9::1"),
        ("2001:db8:1::1", "2001:db8:9::1, 2001:db8:1:2::3", "2001:db8:9::1"),
        (f"::ffff:{PROXY}", "::ffff:198.51.100.7", "198.51.100.7"),
        (PROXY, "unknown", PROXY),
        (PROXY, f"198.51.100.7, nonsense, {NEXT_PROXY}", NEXT_PROXY),
        (PROXY, f"198.51.100.7, , {NEXT_PROXY}", NEXT_PROXY),
        (PROXY, "198.51.100.7, 999.1.1.1", PROXY),
        (PROXY, "localhost", PROXY),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(
    ask: Callable[..., Any], peer: str, forwarded_for: str, client: str
) -> None:
    assert ask(peer, X_Forwarded_For=forwarded_for)["client"] == client


def test_a_stranger_is_not_believed(ask: Callable[..., Any]) -> None:
    """Headers for proxies, and those that name a user, from an untrusted peer are ignored."""
    lies = {"X_Forwarded_For": "6.6.6.6", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "evil.example"}
    others = {
        "Forwarded": "for=6.6.6.6;host=evil.example;proto=https",
        "X_Real_IP": "6.6.6.6",
        "X_User_Id": "1",
    }
    assert ask(STRANGER, **lies, **others) == {"client": STRANGER, "scheme": "http", "host": "localhost"}


def test_nobody_is_believed_unless_proxies_are_named(app_with: Maker) -> None:
    lies = {"X_Forwarded_For": "6.6.6.6", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "evil.example"}
    for peer in ("127.0.0.1", "::1", PROXY):
        told = shown_by(app_with())(peer, **lies)
        assert told == {"client": peer, "scheme": "http", "host": "localhost"}


def test_a_proxy_tells_scheme_and_host(ask: Callable[..., Any]) -> None:
    told = ask(PROXY, X_Forwarded_Proto="HTTPS", X_Forwarded_Host="tasks.example.org:8443")
    assert told == {"client": PROXY, "scheme": "https", "host": "tasks.example.org:8443"}


@pytest.mark.parametrize(
    ("proto", "host"),
    [("ftp", "a b"), ("", ""), ("https, javascript", "evil.example, x/y"), ("https,", "a@b")],
)
def test_of_a_proxy_only_what_makes_sense_is_taken(ask: Callable[..., Any], proto: str, host: str) -> None:
    told = ask(PROXY, X_Forwarded_Proto=proto, X_Forwarded_Host=host)
    assert told == {"client": PROXY, "scheme": "http", "host": "localhost"}


def test_the_nearest_proxy_has_the_last_word(ask: Callable[..., Any]) -> None:
    told = ask(PROXY, X_Forwarded_Proto="https, http", X_Forwarded_Host="evil.example, tasks.example.org")
    assert (told["scheme"], told["host"]) == ("http", "tasks.example.org")


def test_rfc_7239_is_not_read_from_anybody(ask: Callable[..., Any]) -> None:
    told = ask(PROXY, Forwarded="for=198.51.100.7;proto=https;host=evil.example")
    assert told == {"client": PROXY, "scheme": "http", "host": "localhost"}


def statuses(client: FlaskClient, peer: str, forwarded: list[str]) -> list[int]:
    return [
        client.post(
            "/api/auth/login", json={}, headers={"X-Forwarded-For": one}, environ_base={"REMOTE_ADDR": peer}
        ).status_code
        for one in forwarded
    ]


@pytest.mark.parametrize("proxies", ["", "10.0.0.0/24"])
def test_an_invented_client_does_not_escape_the_limit(app_with: Maker, proxies: str) -> None:
    """What is counted is the real peer: a spoofed X-Forwarded-For changes nothing."""
    client = app_with(RATE_LIMIT_AUTH="2/minute", TRUSTED_PROXIES=proxies).test_client()
    assert statuses(client, STRANGER, ["6.6.6.1", "6.6.6.2", "6.6.6.3"]) == [422, 422, 429]


def test_behind_a_proxy_each_client_has_a_limit_of_its_own(app_with: Maker) -> None:
    client = app_with(RATE_LIMIT_AUTH="1/minute", TRUSTED_PROXIES="10.0.0.0/24").test_client()
    assert statuses(client, PROXY, ["198.51.100.1", "198.51.100.2"]) == [422, 422]
    # Whatever a client writes before it reaches the proxy stands to the left.
    assert statuses(client, PROXY, ["6.6.6.6, 198.51.100.1"]) == [429]
