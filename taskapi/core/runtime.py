"""What runs now, for code that has none of it at hand: the application's settings, the request."""

from flask import Request, current_app, g, request
from flask.ctx import _AppCtxGlobals

from taskapi.config import Settings


def runtime_settings() -> Settings:
    found: Settings = current_app.extensions["taskapi_settings"]
    return found


def current_request() -> Request:
    """The request itself: ``flask.request`` looks for it again with each attribute, for a microsecond."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]
    return found


def request_state() -> _AppCtxGlobals:
    """What is kept of the request, ``flask.g`` itself, for the same reason."""
    found: _AppCtxGlobals = g._get_current_object()
    return found
