"""Answers of lists and figures that are kept for a while, for the one who asked.

What is kept begins with what it depends on: who the caller is, and the versions of what they see
(``core/freshness``), read before the answer is made. An answer that is older than a change fits no more.
"""

from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

import orjson
from flask import Response, g

from taskapi.core.access import current_actor
from taskapi.core.cache import shared_cache
from taskapi.core.freshness import sight_of
from taskapi.core.hints import Hints
from taskapi.core.paging import query_lists
from taskapi.core.runtime import runtime_settings

HEADER = "X-Cache"
KEPT_HEADERS = ("Content-Type", "Link")


def kept_for_a_while(
    view: Callable[..., Response], *, ages_by: Collection[str] = ()
) -> Callable[..., Response]:
    """Answer as ``CACHE_TTL`` seconds ago at most, if nothing has changed that the caller sees.

    Put it outside of all that reads the request: ``core/asking`` has found the answer already.

    Args:
        ages_by: parameters that make the answer depend on the clock, so that it is not kept.
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Response:
        seconds = runtime_settings().cache_ttl
        if not seconds:
            return view(*args, **kwargs)
        page, sight = _page_and_sight()
        kept = g.hints.page if page else None
        if kept is not None and kept.startswith(sight):
            return _read(kept[len(sight) :])
        response = view(*args, **kwargs)
        # A cursor brings its filters along.
        if page and _can_be_kept(response) and query_lists().keys().isdisjoint(ages_by):
            shared_cache().put(page, sight + _written(response), seconds=seconds)
        response.headers[HEADER] = "miss"
        return response

    return wrapper


def _page_and_sight() -> tuple[str | None, bytes]:
    """Under which key the answer is kept, and what it depends on; no key while Redis is away."""
    page: str | None = g.get("page")
    if page is None:
        return None, b""
    hints: Hints = g.hints
    return page, f"{sight_of(current_actor(), hints.versions)}\n".encode()


def _can_be_kept(response: Response) -> bool:
    return response.status_code == 200 and response.is_sequence


def _written(response: Response) -> bytes:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return orjson.dumps(headers) + b"\n" + response.get_data()


def _read(kept: bytes) -> Response:
    headers, _, body = kept.partition(b"\n")
    return Response(body, headers={**orjson.loads(headers), HEADER: "hit"})
