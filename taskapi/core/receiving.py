"""Endpoints that receive what is larger than memory: before the view, and outside of its transaction.

While a body arrives, which may take a slow client minutes, nothing of the database is held.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

import marshmallow as ma
from flask import request

from taskapi.core.db import db
from taskapi.core.errors import UnsupportedMediaType
from taskapi.core.parser import Parser
from taskapi.core.schemas import Schema

View = TypeVar("View", bound=Callable[..., Any])
PARSER = Parser()


class Received(Protocol):
    """What was received; a request that is repeated with the same key must have the same fingerprint."""

    @property
    def fingerprint(self) -> bytes: ...


class NoQuery(Schema):
    """No query parameter is known."""


def receives(
    prepare: Callable[..., AbstractContextManager[Received]], *, query: type[ma.Schema] = NoQuery
) -> Callable[[View], View]:
    """Give the view ``received``, what the context ``prepare`` yields; it ends after the view's commit.

    Args:
        prepare: called with what ``query`` read from the query; it reads the body.
    """

    def decorator(view: View) -> View:
        facts = getattr(view, "_apidoc", {})
        described = {
            "parameters": [{"in": "query", "schema": query, "required": True}],
            "responses": {422: ""},
        }
        view._apidoc = {**facts, "receives": (prepare, query), "arguments": described}  # type: ignore[attr-defined]
        return view

    return decorator


def receiving(view: View) -> View:
    """Do for a view what ``receives`` asked for, if it did."""
    found = getattr(view, "_apidoc", {}).get("receives")
    if found is None:
        return view
    prepare, query = found

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise UnsupportedMediaType("Send the body without a content coding.")
        asked = PARSER.parse(query, request, location="query")
        # Who calls was read from the database: its connection goes back to the pool.
        db.session.remove()
        with prepare(**asked) as received:
            return view(*args, received=received, **kwargs)

    return cast(View, wrapper)
