"""Answers of lists and figures that are kept for a while, for the one who asked.

The key holds the version of what the caller sees (``core/freshness``), read before the answer is
made: an answer that is older than a change is never found again.
"""

import hashlib
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

import orjson
from flask import Response, request

from taskapi.core.access import Actor, current_actor
from taskapi.core.cache import shared_cache
from taskapi.core.freshness import version_for
from taskapi.core.paging import query_lists
from taskapi.core.runtime import runtime_settings
from taskapi.core.visibility import sees_everything
from taskapi.version import VERSION

HEADER = "X-Cache"
KEPT_HEADERS = ("Content-Type", "Link")


def kept_for_a_while(
    view: Callable[..., Response], *, ages_by: Collection[str] = ()
) -> Callable[..., Response]:
    """Answer as ``CACHE_TTL`` seconds ago at most, if nothing has changed that the caller sees.

    Args:
        ages_by: parameters that make the answer depend on the clock, so that it is not kept.
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Response:
        seconds = runtime_settings().cache_ttl
        if not seconds:
            return view(*args, **kwargs)
        # A cursor brings its filters along.
        is_kept = query_lists().keys().isdisjoint(ages_by)
        key = _key(current_actor()) if is_kept else None
        kept = shared_cache().get(key) if key else None
        if kept is not None:
            return _read(kept)
        response = view(*args, **kwargs)
        if key and response.status_code == 200 and response.is_sequence:
            shared_cache().put(key, _written(response), seconds=seconds)
        response.headers[HEADER] = "miss"
        return response

    return wrapper


def _key(actor: Actor) -> str:
    sees_all = sees_everything(actor)
    version = version_for(actor.user_id, sees_all=sees_all)
    asked = (VERSION, request.path.rstrip("/"), request.query_string.decode("latin-1"))
    caller = (actor.user_id.hex, actor.role, sees_all, actor.is_admin, actor.timezone, version)
    return f"answer:{hashlib.sha256(repr((*asked, *caller)).encode()).hexdigest()}"


def _written(response: Response) -> bytes:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return orjson.dumps(headers) + b"\n" + response.get_data()


def _read(kept: bytes) -> Response:
    headers, _, body = kept.partition(b"\n")
    return Response(body, headers={**orjson.loads(headers), HEADER: "hit"})
