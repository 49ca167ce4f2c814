"""Requests as figures: how many of each kind, and how long they took until their answer began."""

import time

from flask import Response

from taskapi.core.meters import Counter, Histogram
from taskapi.core.runtime import current_request, request_state

REQUESTS = Counter(
    "taskapi_http_requests_total", "Requests that were answered", ("method", "route", "status")
)
DURATION = Histogram(
    "taskapi_http_request_duration_seconds", "Until the answer of a request began", ("method", "route")
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count_request(response: Response) -> Response:
    """After each request; a path that nobody serves is no route, or scanners would make thousands."""
    asked = current_request()
    method = asked.method if asked.method in METHODS else "other"
    route = asked.url_rule.rule if asked.url_rule else "none"
    REQUESTS.add(method, route, str(response.status_code))
    DURATION.observe(time.perf_counter() - request_state().started, method, route)
    return response
