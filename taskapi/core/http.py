"""The HTTP floor: the life cycle of every request.

Request ids, security headers and one log line per request; ``blueprint`` has the conventions
of single endpoints.
"""

import logging
import re
import time
from typing import Any

import structlog
from flask import Flask, Response

from taskapi.core.access import check_access, facts_of
from taskapi.core.asking import identify
from taskapi.core.hosts import check_host
from taskapi.core.http_meters import count_request
from taskapi.core.ids import new_id
from taskapi.core.json import OrjsonProvider
from taskapi.core.limits import limit_rate, rate_limit_headers
from taskapi.core.logging import log_request
from taskapi.core.runtime import current_request, request_state

log = logging.getLogger(__name__)

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
SECURITY_BY_KEY = [(name, name.lower(), value) for name, value in SECURITY_HEADERS.items()]


def install_http(app: Flask) -> None:
    """Put the request life cycle on the application: id, caller, limit, access, headers, log line."""
    app.json = OrjsonProvider(app)
    app.url_map.strict_slashes = False
    # Otherwise werkzeug answers // with a redirect in HTML.
    app.url_map.merge_slashes = False
    app.extensions.setdefault("taskapi_public_endpoints", {"static"})
    app.extensions.setdefault("taskapi_uncounted_endpoints", {"static"})
    app.extensions["taskapi_facts"] = {}
    for step in (_begin_request, identify, limit_rate, check_host, check_access):
        app.before_request(step)
    app.after_request(count_request)
    app.after_request(_finish_response)
    app.teardown_request(lambda _error: structlog.contextvars.clear_contextvars())


def _begin_request() -> None:
    state, asked = request_state(), current_request()
    state.started = time.perf_counter()
    state.facts = facts_of(asked.endpoint)
    offered = asked.environ.get("HTTP_X_REQUEST_ID")
    is_sane = offered and SANE_REQUEST_ID.fullmatch(offered)
    state.request_id = offered if is_sane else str(new_id())
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=state.request_id)


def _finish_response(response: Response) -> Response:
    state, headers = request_state(), response.headers
    if response.is_sequence and not any(response.response):
        # Flask calls every answer HTML that is not said to be something else.
        headers.pop("Content-Type", None)
    present = {name.lower() for name, _ in headers}
    secure = [(name, value) for name, key, value in SECURITY_BY_KEY if key not in present]
    headers.extend([("X-Request-ID", state.request_id), *rate_limit_headers(), *secure])
    _log(state, response)
    return response


def _log(state: Any, response: Response) -> None:
    asked, actor = current_request(), state.get("actor")
    line = {
        "method": asked.method,
        "route": asked.url_rule.rule if asked.url_rule else None,
        "status": response.status_code,
        "ms": round((time.perf_counter() - state.started) * 1000, 1),
        "user": str(actor.user_id) if actor else None,
    }
    log_request(log, line)
