"""Calls to URLs that people chose, against real servers."""

import gzip
import socket
import ssl
import threading
import time as real_time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from taskapi.clients import http, sockets
from taskapi.clients.addresses import TargetRefused
from taskapi.clients.http import Answer, Call, CallFailed, send
from tests.clients.servers import Names, raw_server, saying, silent
from tests.clients.targets import HOSTILE, NOT_PUBLIC
from tests.schedules.making import Time, at

LOOPBACK = (ip_network("127.0.0.1/32"),)
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def running() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1") as server:
        yield server


@pytest.fixture
def server(running: HTTPServer) -> HTTPServer:
    running.clear()
    return running


def get(url: str, *, timeout: float = 5, **fields: Any) -> Answer:
    return send(Call(method="GET", url=url, **fields), allowed=LOOPBACK, timeout=timeout)


def failure(url: str, *, allowed: Any = LOOPBACK, timeout: float = 5) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        send(Call(method="GET", url=url), allowed=allowed, timeout=timeout)
    return caught.value


@pytest.fixture
def unconnected(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Remembers who would have been connected to, and refuses the connection."""
    tried: list[Any] = []

    def connect(_socket: socket.socket, address: Any) -> None:
        tried.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(sockets.LimitedSocket, "connect", connect)
    return tried


def test_a_call_sends_what_it_was_given_and_nothing_else(server: HTTPServer) -> None:
    server.expect_request("/a b", method="PUT", query_string="q=1").respond_with_data("done", status=202)
    call = Call(
        method="PUT", url=server.url_for("/a%20b?q=1"), headers={"user-agent": "mine"}, body=b"\x00\xff"
    )
    answer = send(call, allowed=LOOPBACK, timeout=5)
    assert (answer.status, answer.body) == (202, b"done")
    ((request, _response),) = server.log
    assert request.get_data() == b"\x00\xff"
    assert dict(request.headers) == {
        "Host": f"127.0.0.1:{server.port}",
        "User-Agent": "mine",
        "Accept-Encoding": "identity",
        "Content-Length": "2",
    }


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_target_is_refused_before_and_at_the_call(url: str, unconnected: list[Any]) -> None:
    with pytest.raises(TargetRefused):
        http.check_target(url, allowed=(), patience=5)
    error = failure(url, allowed=())
    assert (error.code, error.temporary) == ("target_refused", False)
    assert unconnected == []


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_name_that_leads_to_a_hostile_target_is_refused(
    address: str, unconnected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    Names.installed(monkeypatch, ["93.184.215.14", address])
    with pytest.raises(TargetRefused):
        http.check_target("https://example.org/", allowed=(), patience=5)
    assert failure("https://example.org/", allowed=()).code == "target_refused"
    assert unconnected == []


def test_the_address_that_is_checked_is_the_one_that_is_called(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second answer would be the metadata service of a cloud."""
    server.expect_request("/").respond_with_data("ok")
    names = Names.installed(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
    assert get(f"http://receiver.example:{server.port}/").status == 200
    assert names.asked == ["receiver.example"]
    assert server.log[0][0].headers["Host"] == f"receiver.example:{server.port}"


def test_the_next_address_is_tried_when_one_takes_no_connection(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.expect_request("/").respond_with_data("ok")
    Names.installed(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    call = Call(method="GET", url=f"http://receiver.example:{server.port}/")
    assert send(call, allowed=(ip_network("127.0.0.0/8"),), timeout=5).status == 200


def test_a_redirect_is_an_answer_and_not_followed(server: HTTPServer) -> None:
    inner = server.url_for("/inner")
    server.expect_request("/").respond_with_data(status=302, headers={"Location": inner})
    server.expect_request("/inner").respond_with_data("secrets")
    answer = get(server.url_for("/"))
    assert (answer.status, answer.headers["Location"]) == (302, inner)
    assert [request.path for request, _ in server.log] == ["/"]


def test_proxies_and_logins_of_the_environment_are_not_used(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login olivia password hunter2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.expect_request("/").respond_with_data("ok", headers={"Set-Cookie": "a=b"})
    for _ in range(2):
        assert get(server.url_for("/")).status == 200
    for request, _response in server.log:
        assert {"Cookie", "Authorization"}.isdisjoint(request.headers)


DRIPS = {
    "nothing": silent,
    "status line": saying(b"H", repeat=200, pause=0.05),
    "headers": saying(OK, b"X: y\r\n", repeat=200, pause=0.05),
    "body": saying(OK + b"Content-Length: 1000\r\n\r\n", b"x", repeat=200, pause=0.05),
    "chunks": saying(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", repeat=200, pause=0.05),
}


def test_a_call_that_is_not_wanted_any_more_ends_while_it_waits() -> None:
    class NotWantedError(Exception):
        pass

    asked = []

    def check() -> None:
        asked.append(real_time.monotonic())
        if len(asked) == 3:
            raise NotWantedError

    with raw_server(silent) as port, pytest.raises(NotWantedError):
        send(Call(method="GET", url=f"http://127.0.0.1:{port}/"), allowed=LOOPBACK, timeout=20, check=check)
    assert asked[-1] - asked[0] < 10


def test_looking_whether_it_is_wanted_takes_nothing_of_a_slow_answer() -> None:
    parts = (OK + b"Content-Length: 4\r\n\r\n", b"ab")
    with raw_server(saying(*parts, repeat=2, pause=1.2 * sockets.GLANCE_SECONDS)) as port:
        call = Call(method="GET", url=f"http://127.0.0.1:{port}/")
        assert send(call, allowed=LOOPBACK, timeout=20, check=lambda: None).body == b"abab"


@pytest.mark.parametrize("phase", DRIPS)
def test_a_server_that_drips_does_not_hold_a_call_beyond_its_time(phase: str) -> None:
    with raw_server(DRIPS[phase]) as port:
        started = real_time.monotonic()
        error = failure(f"http://127.0.0.1:{port}/", timeout=0.3)
        assert real_time.monotonic() - started < 5
    assert (error.code, error.temporary) == ("timeout", True)


def test_a_server_that_does_not_shake_hands_is_left_in_time() -> None:
    with raw_server(silent) as port:
        started = real_time.monotonic()
        assert failure(f"https://127.0.0.1:{port}/", timeout=0.3).code == "timeout"
        assert real_time.monotonic() - started < 5


def test_a_call_whose_time_is_over_before_it_is_encrypted_leaves_no_connection() -> None:
    with raw_server(silent) as port:
        limits = sockets.Limits(give_up_at=real_time.monotonic() + 5)
        sock = sockets.dial([(socket.AF_INET, ("127.0.0.1", port))], limits)
        # To read the authorities may have taken all of it.
        sock.limits = sockets.Limits(give_up_at=real_time.monotonic())
        with pytest.raises(TimeoutError):
            sockets.encrypt(sock, "127.0.0.1")
        assert sock.fileno() == -1


@pytest.fixture
def slow_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A name server that does not answer while the test lasts."""
    over = threading.Event()

    def wait(*_args: Any, **_kwargs: Any) -> None:
        over.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    yield
    over.set()


def test_a_name_server_that_does_not_answer_is_left_in_time(slow_names: None) -> None:
    started = real_time.monotonic()
    assert failure("http://example.org/", timeout=0.2).code == "timeout"
    http.check_target("http://example.org/", allowed=(), patience=0.2)
    assert real_time.monotonic() - started < 5


def test_a_name_that_is_unknown_now_may_be_known_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: Any, **_kwargs: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    http.check_target("http://example.invalid/", allowed=(), patience=5)
    error = failure("http://example.invalid/")
    assert (error.code, error.temporary) == ("unreachable", True)


def test_of_an_endless_body_only_the_beginning_is_read() -> None:
    endless = saying(OK + b"\r\n", b"x" * 65_536, repeat=1000)
    with raw_server(endless) as port:
        assert get(f"http://127.0.0.1:{port}/").body == b"x" * http.KEPT_BYTES


def test_a_compressed_body_is_not_unpacked(server: HTTPServer) -> None:
    packed = gzip.compress(b"\0" * 10_000_000)
    server.expect_request("/").respond_with_data(packed, headers={"Content-Encoding": "gzip"})
    assert get(server.url_for("/")).body == packed


@pytest.mark.parametrize(
    "behave",
    [
        saying(OK, b"X-Header: " + b"y" * 60_000 + b"\r\n", repeat=10**6),
        saying(b"HTTP/1.1 100 Continue\r\nX: " + b"y" * 60_000 + b"\r\n\r\n", repeat=10**6),
        saying(OK + b"X: " + b"y" * 100_000 + b"\r\n\r\n"),
        saying(b"220 mail.example.org ESMTP\r\n" * 10_000),
        saying(OK + b"Content-Length: 100\r\n\r\ncut"),
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ],
    ids=["endless headers", "endless continue", "long line", "no HTTP", "cut", "bad chunks"],
)
def test_an_answer_that_is_none_is_a_failure_that_may_pass(behave: Any) -> None:
    with raw_server(behave) as port:
        error = failure(f"http://127.0.0.1:{port}/")
    assert (error.code, error.temporary) == ("bad_answer", True)
    assert len(str(error)) <= 300


def test_a_connection_that_is_refused_or_broken_is_a_failure_that_may_pass() -> None:
    with raw_server(saying(b"")) as port:
        assert failure(f"http://127.0.0.1:{port}/").code == "unreachable"
        assert failure(f"https://127.0.0.1:{port}/").code == "unreachable"
    error = failure(f"http://127.0.0.1:{port}/")
    assert (error.code, error.temporary) == ("unreachable", True)
    assert "refused" in str(error)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def asked_names() -> list[str]:
    return []


@pytest.fixture(scope="module")
def secure(authority: trustme.CA, asked_names: list[str]) -> Iterator[HTTPServer]:
    """A server with a certificate for receiver.example that remembers which name was asked for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("receiver.example").configure_cert(context)
    context.sni_callback = lambda _socket, name, _context: asked_names.append(name)
    with HTTPServer(host="127.0.0.1", ssl_context=context) as server:
        server.expect_request("/").respond_with_handler(_endless)
        yield server


def _endless(_request: Request) -> Response:
    return Response(b"x" * 65_536 for _ in range(100))


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


def test_the_certificate_must_be_the_name_s_although_the_address_is_called(
    secure: HTTPServer, trusted: None, asked_names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Names.installed(monkeypatch, ["127.0.0.1"])
    answer = get(f"https://receiver.example:{secure.port}/")
    assert (answer.status, len(answer.body)) == (200, http.KEPT_BYTES)
    assert asked_names[-1] == "receiver.example"
    error = failure(f"https://another.example:{secure.port}/")
    assert (error.code, error.temporary) == ("tls_failed", False)
    assert "another.example" in str(error)


def test_the_authorities_of_the_system_are_read_once_in_a_while(
    secure: HTTPServer, trusted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Names.installed(monkeypatch, ["127.0.0.1"])
    read: list[object] = []
    really_create = ssl.create_default_context

    def note() -> ssl.SSLContext:
        read.append(context := really_create())
        return context

    monkeypatch.setattr(ssl, "create_default_context", note)
    monkeypatch.setattr(sockets, "AUTHORITIES_SECONDS", 1e9)
    for _ in range(2):
        get(f"https://receiver.example:{secure.port}/")
    assert len(read) == 1
    monkeypatch.setattr(sockets, "AUTHORITIES_SECONDS", 1e-9)
    get(f"https://receiver.example:{secure.port}/")
    assert len(read) == 2


def test_a_certificate_of_an_unknown_authority_is_refused(
    secure: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    Names.installed(monkeypatch, ["127.0.0.1"])
    assert failure(f"https://receiver.example:{secure.port}/").code == "tls_failed"


def test_a_server_that_does_not_encrypt_is_refused(server: HTTPServer) -> None:
    assert failure(f"https://127.0.0.1:{server.port}/").code == "tls_failed"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("9" * 400, 9_999_999_999.0),
        ("Fri, 20 Nov 2026 09:02:00 GMT", 120.0),
        ("Fri, 20 Nov 2026 09:02:00 -0000", 120.0),
        ("Fri, 20 Nov 2026 08:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_how_long_to_wait_is_told_in_seconds_or_by_a_date(text: str, seconds: float | None) -> None:
    with Time(at("2026-11-20 09:00")).running():
        answer = Answer(status=503, headers={"Retry-After": text}, body=b"", duration_ms=1)
        assert answer.retry_after == seconds
