"""Serves the paths of older systems under ``LEGACY_PATHS``: each is another name of one of ours.

A request is renamed before it is routed, so that limits, access, idempotency, logs and figures are
those of the path that takes its place. Answers are ours, and say that the path is deprecated
(RFC 9745) and which one takes its place (RFC 5829).
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, Rule

from taskapi.config import Settings
from taskapi.core.parser import PARSED, read_body, read_json
from taskapi.legacy.aliases import ALIASES, Alias, Dialect

log = structlog.get_logger(__name__)

WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]

# Where a request keeps by which older path it came.
CAME_BY = "taskapi.legacy"
DEPRECATED_SINCE = datetime(2026, 11, 1, tzinfo=UTC)
WITH_BODY = ("POST", "PUT", "PATCH")


def install_legacy_paths(app: Flask, settings: Settings) -> None:
    """Answer the older paths, too, if the operator wants it; call it when all else of HTTP is installed."""
    if not settings.legacy_paths:
        return
    app.wsgi_app = LegacyPaths(app.wsgi_app)  # type: ignore[method-assign]
    # After the checks of the floor: who may not call is refused before the body is read.
    app.before_request(_translate_body)
    app.after_request(_tell_of_successor)


class LegacyPaths:
    """WSGI middleware that gives requests of older paths the names of ours."""

    def __init__(self, application: WsgiApplication) -> None:
        self._application = application
        rules = [Rule(_as_rule(alias.path), endpoint=alias) for alias in ALIASES]
        self._paths = Map(rules, strict_slashes=False, merge_slashes=False).bind("")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            alias, names = self._paths.match(environ["PATH_INFO"])
        except NotFound:
            return self._application(environ, start_response)
        _rename(environ, alias, alias.successor.format(**names))
        return self._application(environ, start_response)


def _as_rule(path: str) -> str:
    return re.sub(r"{([\w:]+)}", r"<\1>", path)


def _rename(environ: dict[str, Any], alias: Alias, path: str) -> None:
    method = environ["REQUEST_METHOD"]
    environ[CAME_BY] = alias
    environ["PATH_INFO"] = path
    environ["REQUEST_METHOD"] = alias.methods.get(method, method)
    environ["QUERY_STRING"] = _translate_query(environ.get("QUERY_STRING", ""), alias.dialect)


def _translate_query(query: str, dialect: Dialect) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    ours = [dialect.say(name, value) for name, value in pairs]
    # As it came where nothing is to be said differently: writing it anew might change odd bytes.
    return query if ours == pairs else urlencode(ours)


def _translate_body() -> None:
    alias: Alias | None = request.environ.get(CAME_BY)
    if alias is None or request.url_rule is None or request.method not in WITH_BODY:
        return
    # What is no JSON, or is packed, the endpoint takes or refuses as it is.
    if request.mimetype != "application/json" or "Content-Encoding" in request.headers:
        return
    if read_body(request).strip() and isinstance(body := read_json(request), dict):
        request.environ[PARSED] = alias.dialect.translate(body)


def _tell_of_successor(response: Response) -> Response:
    alias: Alias | None = request.environ.get(CAME_BY)
    if alias is not None:
        response.headers["Deprecation"] = f"@{int(DEPRECATED_SINCE.timestamp())}"
        response.headers.add("Link", f'<{quote(request.path)}>; rel="successor-version"')
        response.headers.add("Link", '</docs>; rel="deprecation"; type="text/html"')
        log.info("legacy.path", path=alias.path, successor=alias.successor)
    return response
