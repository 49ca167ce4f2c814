"""A cache that all processes share, as long as Redis is there; nobody may need what is in it."""

from typing import Protocol

from flask import current_app


class SharedCache(Protocol):
    """What keeps values for a while. Each method answers None while it is away."""

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, value: bytes, *, seconds: float) -> bool | None: ...

    def add(self, key: str, value: bytes, *, seconds: float) -> bool | None:
        """Keep the value unless there is one; whether it was kept."""

    def remove(self, key: str) -> bool | None: ...


def set_shared_cache(cache: SharedCache) -> None:
    """Say where values are kept."""
    current_app.extensions["taskapi_shared_cache"] = cache


def shared_cache() -> SharedCache:
    """The cache of the running application."""
    cache: SharedCache = current_app.extensions["taskapi_shared_cache"]
    return cache
