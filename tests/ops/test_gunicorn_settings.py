"""Gunicorn with our settings serves as it should."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops.conftest import REPOSITORY, free_port, processes_in, wait_until

# Only what gunicorn needs of an application: the hooks dispose of its database connections.
APPLICATION = """
from flask import Flask, request

from taskapi.config import load_settings
from taskapi.core.db import init_database

app = Flask(__name__)
init_database(app, load_settings())


@app.get("/")
def show():
    return {"scheme": request.scheme, "peer": request.remote_addr}
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
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
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


def test_nobody_is_believed_about_proxies(gunicorn: Gunicorn) -> None:
    answer = gunicorn.send(b"GET / HTTP/1.0\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"scheme": "http", "peer": "127.0.0.1"}


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: 1\r\n\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n",
    ],
    ids=["no-http", "two-lengths", "bad-name", "long-line", "many-fields"],
)
def test_what_is_not_proper_http_is_refused(gunicorn: Gunicorn, request_bytes: bytes) -> None:
    assert gunicorn.send(request_bytes).split(b" ")[1][:1] == b"4"


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
