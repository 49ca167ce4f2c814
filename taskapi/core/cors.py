"""Which sites' pages may call the API from a browser (``CORS_ORIGINS``; the Fetch standard, 3.2).

Never with credentials: the API is called with tokens that a page must hold itself.
"""

import logging
import re

from flask import Flask, Response

from taskapi.config import Settings

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Range",
    "X-Request-ID",
)
EXPOSED_HEADERS = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)
MAX_AGE_SECONDS = 600
# Sandboxed frames and local files call themselves null: anybody can, so it names nobody.
ANY_ORIGIN = r"(?!null\Z).+\Z"


def install_cors(app: Flask, settings: Settings) -> None:
    """Answer the preflights of the listed sites and let their pages read our answers."""
    if not settings.cors_origins:
        return
    from flask_cors import CORS

    # It tells of each OPTIONS that is no preflight.
    logging.getLogger("flask_cors").setLevel(logging.WARNING)
    CORS(
        app,
        # Compiled, since a text with [ in it would be taken for a pattern; to the end, since the
        # beginning of a longer origin would do.
        origins=[re.compile(_pattern(origin)) for origin in settings.cors_origins],
        methods=METHODS,
        allow_headers=REQUEST_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        max_age=MAX_AGE_SECONDS,
        supports_credentials=False,
        allow_private_network=False,
        intercept_exceptions=False,
        vary_header=False,
    )
    app.after_request(_vary)


def _pattern(origin: str) -> str:
    return ANY_ORIGIN if origin == "*" else re.escape(origin) + r"\Z"


def _vary(response: Response) -> Response:
    # On all answers: a cache must not give one that was made for nobody's page to an allowed one.
    response.vary.add("Origin")
    return response
