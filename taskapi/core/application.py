"""The Flask application, without what this API has no use for."""

from collections.abc import Callable
from functools import cache
from typing import Any

from flask import Flask, Request
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import Rule


class NoSessions(SessionInterface):
    """Callers show a token each time: no cookie is read, and none is ever set."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._none


class UnlinkedRule(Rule):
    """A rule to which hardly anybody links: what builds its path is compiled when it is needed first.

    Werkzeug compiles two functions for each rule, which takes longer than all the rest of the start.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compiled = cache(lambda: super(UnlinkedRule, self)._compile_builder(append_unknown))
        return lambda rule, **values: compiled()(rule, **values)


class Application(Flask):
    """Serves views that are plain functions, each by one thread."""

    url_rule_class = UnlinkedRule
    session_interface = NoSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        # Flask asks of each view and each step, for each request, whether it is a coroutine.
        return func
