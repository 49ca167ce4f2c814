"""Whether the service answers at PUBLIC_URL, and sees who calls it through proxies"""

from collections.abc import Callable, Iterator
from ipaddress import ip_network

import pytest
from flask import Flask

from taskapi.core.proxies import TrustedProxies
from taskapi.ops.doctor.findings import Finding
from taskapi.ops.doctor.probe import PROBE, SEEN, make_probe
from tests.ops.doctor.conftest import Look, proxying, serving
from tests.schedules.making import Time

pytestmark = pytest.mark.one_database
Settings = Callable[..., None]
# As of a client elsewhere: the test's own address is also the proxy's.
ELSEWHERE = {"X-Forwarded-For": "{}, 198.51.100.9", "X-Forwarded-Proto": "http"}


@pytest.fixture
def examine_at(settings: Settings, look: Look) -> Callable[..., Finding]:
    def examine(port: int, *, trusted: tuple[str, ...] = (), **values: str) -> Finding:
        networks = tuple(ip_network(text) for text in trusted)
        url = values.get("url", f"http://127.0.0.1:{port}")
        settings(public_url=url.format(port=port), trusted_proxies=networks)
        return look("public address")

    return examine


@pytest.fixture
def port(app: Flask) -> Iterator[int]:
    """Of the service, which trusts nobody."""
    with serving(app.wsgi_app) as found:
        yield found


@pytest.fixture
def trusting(app: Flask) -> Iterator[int]:
    """Of the service, which trusts proxies on its own machine."""
    with serving(TrustedProxies(app.wsgi_app, (ip_network("127.0.0.1"),))) as found:
        yield found


def test_it_answers_directly(port: int, examine_at: Callable[..., Finding]) -> None:
    found = examine_at(port)
    assert (found.status, "directly" in found.detail) == ("ok", True)
    assert found.advice is not None


def test_it_does_not_answer(examine_at: Callable[..., Finding]) -> None:
    assert examine_at(1).status == "warn"
    assert examine_at(1, url="http://service.example.org.invalid:{port}").status == "fail"


def test_somebody_else_answers(examine_at: Callable[..., Finding]) -> None:
    def other(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b'{"status": "ok"}']

    with serving(other) as port:
        found = examine_at(port)
    assert (found.status, "is not this installation" in found.detail) == ("fail", True)


def test_a_proxy_that_nobody_trusts_is_named(port: int, examine_at: Callable[..., Finding]) -> None:
    with proxying(port, ELSEWHERE) as front:
        found = examine_at(front)
    assert found.status == "fail"
    assert found.advice is not None
    assert "add 127.0.0.1 to TRUSTED_PROXIES" in found.advice


def test_a_trusted_proxy_is_well(trusting: int, examine_at: Callable[..., Finding]) -> None:
    with proxying(trusting, ELSEWHERE) as front:
        found = examine_at(front, trusted=("127.0.0.1",))
    assert (found.status, "through the proxy 127.0.0.1" in found.detail) == ("ok", True)


def test_a_proxy_that_passes_on_what_clients_say_is_found(
    trusting: int, examine_at: Callable[..., Finding]
) -> None:
    with proxying(trusting, {}) as front:
        found = examine_at(front, trusted=("127.0.0.1",))
    assert (found.status, "somebody else" in found.detail) == ("warn", True)


def test_a_proxy_that_does_not_tell_of_encryption_is_found(
    trusting: int, examine_at: Callable[..., Finding]
) -> None:
    with proxying(trusting, {**ELSEWHERE, "X-Forwarded-Proto": "https"}) as front:
        found = examine_at(front, trusted=("127.0.0.1",))
    assert (found.status, "arrive as https" in found.detail) == ("warn", True)


def test_a_proxy_that_does_not_tell_the_name_is_found(
    trusting: int, examine_at: Callable[..., Finding]
) -> None:
    with proxying(trusting, {**ELSEWHERE, "Host": "127.0.0.1"}) as front:
        found = examine_at(front, trusted=("127.0.0.1",))
    assert (found.status, "arrive as for 127.0.0.1" in found.detail) == ("warn", True)


def test_nobody_else_learns_how_requests_arrive(context: Flask, time: Time) -> None:
    client = context.test_client()
    probe = make_probe()
    assert SEEN in client.get("/api/health", headers={PROBE: probe}).headers
    assert SEEN not in client.get("/api/health").headers
    assert SEEN not in client.get("/api/health", headers={PROBE: probe + "x"}).headers
    time.pass_(seconds=301)
    assert SEEN not in client.get("/api/health", headers={PROBE: probe}).headers
