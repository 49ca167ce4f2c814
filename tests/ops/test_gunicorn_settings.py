"""Gunicorn with our settings serves as it should."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.e2e.conftest import free_port
from tests.ops.conftest import REPOSITORY, processes_in, wait_until

# Only what gunicorn needs of an application: the hooks dispose of its database connections.
APPLICATION = """
from flask import Flask, request

from taskapi.accounts.passwords import hash_password
from taskapi.config import load_settings
from taskapi.core import incoming
from taskapi.core.db import init_database
from taskapi.core.http import install_http
from taskapi.core.meters import init_meters
from taskapi.core.problems import register_error_handlers
from taskapi.core.proxies import install_proxies
from taskapi.ops.gunicorn_worker import Worker

Worker.read_timeout_seconds, Worker.write_timeout_seconds = 0.5, 0.2
incoming.PATIENCE_SECONDS = 1.0
app = Flask(__name__)
settings = app.extensions["taskapi_settings"] = load_settings()
app.config |= {"PUBLIC_URL": settings.public_url, "MAX_CONTENT_LENGTH": 1000}
init_database(app, settings)
init_meters(app, settings)
install_http(app)
install_proxies(app, settings)
register_error_handlers(app)
app.extensions["taskapi_public_endpoints"] |= {"show", "echo", "hash", "large"}


@app.get("/")
def show():
    return {"scheme": request.scheme, "peer": request.remote_addr}


@app.post("/")
def echo():
    return {"length": len(request.get_data())}


LARGE = bytes(8_000_000)


@app.get("/large")
def large():
    return LARGE


@app.post("/hash")
def hash():
    return {"hash": hash_password("a password")}
"""


class Gunicorn:
    """A running gunicorn, and what it printed."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.directory = directory
        self.port = free_port()
        self._output = directory / "output.txt"
        (directory / "application.py").write_text(APPLICATION)
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME") or "COV" in key}
        environment = {
            **kept,
            "PYTHONPATH": str(REPOSITORY),
            "PORT": str(self.port),
            "LOG_FORMAT": "json",
            "FORWARDED_ALLOW_IPS": "*",
            "RATE_LIMIT_DEFAULT": "off",
            **settings,
        }
        command = [sys.executable, "-m", "gunicorn", "-c", "python:taskapi.ops.gunicorn_settings"]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "application:app"], cwd=directory, env=environment, stdout=output, stderr=output
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def send(self, request: bytes) -> bytes:
        """The answer to these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(4096), b""))


@pytest.fixture(scope="module")
def gunicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    server = Gunicorn(tmp_path_factory.mktemp("gunicorn"))
    wait_until(lambda: server.output.count("Booting worker") == 2 or server.process.poll() is not None)
    yield server
    server.process.terminate()
    server.process.wait(10)


def test_every_line_of_its_own_goes_through_our_formatter_once(gunicorn: Gunicorn) -> None:
    lines = [json.loads(line) for line in gunicorn.output.splitlines()]
    assert sum("Listening at" in line["event"] for line in lines) == 1
    assert {line["process"] for line in lines} == {"web"}


def test_requests_are_left_to_the_application_to_log(gunicorn: Gunicorn) -> None:
    assert gunicorn.send(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")
    assert "GET /" not in gunicorn.output


# Twice one header, as by two proxies, and one that in CGI has the same name as the other.
FORWARDED = (
    b"GET / HTTP/1.0\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 6.6.6.6\r\n"
    b"X-Forwarded-For: 198.51.100.7\r\nX_Forwarded_For: 127.0.0.1\r\n\r\n"
)


def test_nobody_is_believed_about_proxies(gunicorn: Gunicorn) -> None:
    """The client is the real peer, and its connection is what it is."""
    answer = gunicorn.send(FORWARDED)
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"scheme": "http", "peer": "127.0.0.1"}


def test_a_trusted_proxy_is_believed(tmp_path: Path) -> None:
    server = Gunicorn(tmp_path, TRUSTED_PROXIES="127.0.0.1", WEB_CONCURRENCY="1")
    wait_until(lambda: "Booting worker" in server.output or server.process.poll() is not None)
    answer = server.send(FORWARDED)
    server.process.terminate()
    server.process.wait(10)
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"scheme": "https", "peer": "198.51.100.7"}


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (CHUNKED.replace(b"Host: a", b"Content-Length: 1") + b"0\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: 1\r\n\r\n", 400, "bad_request"),
        (CHUNKED.replace(b"chunked", b"zip"), 501, "not_implemented"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 431, "header_fields_too_large"),
        (CHUNKED + b"zz\r\nab\r\n", 400, "bad_request"),
        (CHUNKED + b"2\r\nabcd\r\n", 400, "bad_request"),
    ],
    ids=[
        "no-http",
        "two-lengths",
        "bad-name",
        "coding",
        "long-line",
        "many-fields",
        "chunk-size",
        "chunk-end",
    ],
)
def test_what_is_not_proper_http_is_refused_with_a_problem(
    gunicorn: Gunicorn, request_bytes: bytes, status: int, code: str
) -> None:
    head, _, body = gunicorn.send(request_bytes).partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nContent-Type: application/problem+json" in head
    assert f"X-Request-ID: {problem['request_id']}".encode() in head
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"].endswith(f"/problems/{code}")
    assert "Traceback" not in gunicorn.output


def test_a_body_in_proper_chunks_is_read(gunicorn: Gunicorn) -> None:
    assert gunicorn.send(CHUNKED + b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n").endswith(b'{"length":5}')


@pytest.mark.parametrize(
    "half", [b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n1", CHUNKED + b"5\r\na"]
)
def test_clients_that_stop_halfway_do_not_keep_others_out(gunicorn: Gunicorn, half: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(40):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", gunicorn.port), 5))
            connection.sendall(half)
        assert gunicorn.send(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")
        assert connection.recv(20) in (b"", b"HTTP/1.1 400 BAD REQ")
    assert "Traceback" not in gunicorn.output


@pytest.mark.parametrize("head", [b"", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n"])
def test_a_client_that_trickles_is_not_waited_for(gunicorn: Gunicorn, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", gunicorn.port), 5) as connection:
        connection.sendall(head)
        connection.settimeout(0.1)
        began, answer = time.monotonic(), None
        while answer is None and time.monotonic() - began < 4:
            connection.sendall(b"x")
            with suppress(TimeoutError):
                answer = connection.recv(20)
    assert answer in (b"", b"HTTP/1.1 400 BAD REQ")
    assert "Traceback" not in gunicorn.output


def test_clients_that_do_not_take_their_answers_do_not_keep_others_out(gunicorn: Gunicorn) -> None:
    with ExitStack() as stack:
        for _ in range(40):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", gunicorn.port), 5))
            connection.sendall(b"GET /large HTTP/1.0\r\n\r\n")
        assert gunicorn.send(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")
    assert len(gunicorn.send(b"GET /large HTTP/1.0\r\n\r\n")) > 8_000_000
    assert "Traceback" not in gunicorn.output


def test_many_sign_ins_at_once_leave_no_memory_behind(gunicorn: Gunicorn) -> None:
    request = b"POST /hash HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with ThreadPoolExecutor(40) as threads:
        assert all(b"argon2id" in answer for answer in threads.map(gunicorn.send, [request] * 80))
    for pid in processes_in(gunicorn.directory):
        resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        assert resident is not None
        assert int(resident[1]) < 150_000


def test_it_leaves_no_control_socket(gunicorn: Gunicorn) -> None:
    assert "gunicorn.ctl" not in Path("/proc/net/unix").read_text()


def test_it_ends_at_once_with_all_its_workers(tmp_path: Path) -> None:
    server = Gunicorn(tmp_path, HOST="::1", WEB_CONCURRENCY="1")
    wait_until(lambda: "Booting worker" in server.output or server.process.poll() is not None)
    assert f"http://[::1]:{server.port}" in server.output
    before = time.monotonic()
    server.process.terminate()
    assert server.process.wait(10) == 0
    assert time.monotonic() - before < 5
    assert processes_in(tmp_path) == {}


def test_a_setting_that_is_wrong_is_one_clear_line(tmp_path: Path) -> None:
    server = Gunicorn(tmp_path, LOG_LEVEL="loud")
    assert server.process.wait(10) == 1
    assert server.output == "taskapi: LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, not 'loud'\n"
