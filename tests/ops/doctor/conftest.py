"""A look at one part, under settings of the test's own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from taskapi.ops.doctor.examination import all_checks, examine
from taskapi.ops.doctor.findings import Finding
from tests.schedules.conftest import time

__all__ = ("time",)
Look = Callable[..., Finding]


@pytest.fixture
def look(app: Flask) -> Look:
    """What the check of this name finds."""

    def look_at(name: str, *, mail_to: str | None = None) -> Finding:
        (check,) = [replace(check, needs=()) for check in all_checks(mail_to=mail_to) if check.name == name]
        (finding,) = examine(app, [check])
        return finding

    return look_at


@pytest.fixture
def settings(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Changes settings of the running application."""

    def change(**values: Any) -> None:
        now = app.extensions["taskapi_settings"]
        monkeypatch.setitem(app.extensions, "taskapi_settings", replace(now, **values))

    return change


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(application: Any) -> Iterator[int]:
    """Serve a WSGI application on loopback; the port."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
    yield from _while_it_runs(server)


@contextmanager
def proxying(port: int, headers: dict[str, str]) -> Iterator[int]:
    """A reverse proxy that adds what ``headers`` says of its peer, ``{}`` standing for what came."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = dict(self.headers.items())
            sent |= {name: text.format(sent.get(name, "")) for name, text in headers.items()}
            connection = HTTPConnection("127.0.0.1", port)
            connection.request("GET", self.path, headers=sent)
            answer = connection.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name in ("Content-Type", "X-Taskapi-Seen"):
                if value := answer.getheader(name):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            connection.close()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    yield from _while_it_runs(ThreadingHTTPServer(("127.0.0.1", 0), Handler))


def _while_it_runs(server: Any) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()
