"""Views that need something slow of the network: it is fetched before them, outside of any transaction."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import request

from taskapi.core.db import db
from taskapi.core.errors import MalformedJson
from taskapi.core.parser import read_json

View = TypeVar("View", bound=Callable[..., Any])


def prepares(prepare: Callable[[dict[str, Any]], object]) -> Callable[[View], View]:
    """Give the view ``prepared``, what ``prepare`` answers.

    Args:
        prepare: called with the object that came as body, which nobody has checked yet; an empty
            one when no object came.
    """

    def decorator(view: View) -> View:
        view._apidoc = {**getattr(view, "_apidoc", {}), "prepares": prepare}  # type: ignore[attr-defined]
        return view

    return decorator


def preparing(view: View) -> View:
    """Do for a view what ``prepares`` asked for, if it did."""
    prepare = getattr(view, "_apidoc", {}).get("prepares")
    if prepare is None:
        return view

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        content = _content()
        # Who calls was read from the database: its connection goes back to the pool.
        db.session.remove()
        return view(*args, prepared=prepare(content), **kwargs)

    return cast(View, wrapper)


def _content() -> dict[str, Any]:
    """What came, if it is an object; else the view's own parser says what is wrong with it."""
    try:
        content = read_json(request)
    except MalformedJson:
        return {}
    return content if isinstance(content, dict) else {}
