"""Figures of a machine that has workers or schedulers but no web process: what they count, at METRICS_PORT.

The processes of a machine count in files that all of them can read. So one of them answers for all:
whoever has the port. The others wait for it to become free.
"""

import threading
import time
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from flask import Flask
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug import Request, Response

from taskapi.config import Settings
from taskapi.core.errors import DomainError, NotFound
from taskapi.core.meters import tallies_of
from taskapi.ops import metrics

log = structlog.get_logger(__name__)

# Between two looks whether the port is free.
PAUSE_SECONDS = 5.0
# For a client that does not go on.
PATIENCE_SECONDS = 10.0


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE_SECONDS

    def log_message(self, *_args: Any) -> None:
        """Nothing: what is asked several times a minute is no news."""


def begin_counting(app: Flask, settings: Settings, kind: str) -> None:
    """Let this process count as one of its kind, and show it at METRICS_PORT if that is set."""
    tallies = tallies_of(app)
    tallies.kind = kind
    tallies.begin()
    if settings.metrics_port:
        threading.Thread(target=_serve, args=(app, settings), name="metrics", daemon=True).start()


def _serve(app: Flask, settings: Settings) -> None:
    while True:
        try:
            server = make_server(settings.host, settings.metrics_port, _answering(app), _Server, _Handler)
        except OSError as error:
            log.debug("metrics.port_is_taken", port=settings.metrics_port, error=error.strerror)
            time.sleep(PAUSE_SECONDS)
            continue
        log.info("metrics.shown", port=settings.metrics_port)
        server.serve_forever()


def _answering(app: Flask) -> Any:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with app.app_context():
            return _answer(Request(environ))(environ, start_response)

    return application


def _answer(request: Request) -> Response:
    try:
        if request.path != "/metrics" or request.method not in ("GET", "HEAD"):
            raise NotFound("Only GET /metrics is answered here.")
        if metrics.needs_token():
            shown = request.authorization
            metrics.check_token((shown.token or "") if shown and shown.type == "bearer" else "")
    except DomainError as error:
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
        return Response(f"{error.detail}\n", error.status, headers)
    return Response(metrics.counted_here(), content_type=CONTENT_TYPE_LATEST)
