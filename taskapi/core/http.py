"""The HTTP floor: the life cycle of every request, and the ``Api`` that holds all blueprints.

Request ids, security headers and one log line per request; ``blueprint`` has the conventions
of single endpoints.
"""

import re
import time
from typing import Any

import structlog
from flask import Flask, Response, g, request
from flask_smorest import Api as SmorestApi

from taskapi.core.access import check_access, identify
from taskapi.core.hosts import check_host
from taskapi.core.http_meters import count_request
from taskapi.core.ids import new_id
from taskapi.core.json import OrjsonProvider
from taskapi.core.limits import limit_rate, rate_limit_headers
from taskapi.core.openapi import Plugin
from taskapi.core.problems import ProblemSchema, register_error_handlers

log = structlog.get_logger(__name__)

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}


class Api(SmorestApi):
    """OpenAPI 3.1 and error handling for the whole application."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _init_spec(self, **options: Any) -> None:
        super()._init_spec(marshmallow_plugin=Plugin(), **options)

    def _register_error_handlers(self) -> None:
        register_error_handlers(self._app)


def install_http(app: Flask) -> None:
    """Put the request life cycle on the application: id, caller, limit, access, headers, log line."""
    app.json = OrjsonProvider(app)
    app.url_map.strict_slashes = False
    # Otherwise werkzeug answers // with a redirect in HTML.
    app.url_map.merge_slashes = False
    app.extensions.setdefault("taskapi_public_endpoints", {"static"})
    app.extensions.setdefault("taskapi_uncounted_endpoints", {"static"})
    for step in (_begin_request, identify, limit_rate, check_host, check_access):
        app.before_request(step)
    app.after_request(count_request)
    app.after_request(_finish_response)
    app.teardown_request(lambda _error: structlog.contextvars.clear_contextvars())


def _begin_request() -> None:
    g.started = time.perf_counter()
    offered = request.headers.get("X-Request-ID", "")
    g.request_id = offered if SANE_REQUEST_ID.fullmatch(offered) else str(new_id())
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _finish_response(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    response.headers.update(rate_limit_headers())
    if response.is_sequence and not response.get_data():
        # Flask calls every answer HTML that is not said to be something else.
        response.headers.pop("Content-Type", None)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    actor = g.get("actor")
    log.info(
        "request",
        method=request.method,
        route=str(request.url_rule) if request.url_rule else None,
        status=response.status_code,
        ms=round((time.perf_counter() - g.started) * 1000, 1),
        user=str(actor.user_id) if actor else None,
    )
    return response
