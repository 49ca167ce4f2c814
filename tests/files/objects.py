"""Objects in a store of a test's own, and what is noted of their removal."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask

from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import ObjectMissing, Storage, StorageUnavailable
from taskapi.core import clock
from taskapi.core.db import session
from taskapi.files.models import DiscardedObject


def put_object(key: str | None = None, content: bytes = b"content") -> str:
    """Put an object behind the application's back; its key."""
    key, storage = key or secrets.token_hex(16), current_storage()
    source = storage.incoming / secrets.token_hex(8)
    source.write_bytes(content)
    storage.put(key, source)
    return key


def is_stored(key: str) -> bool:
    try:
        current_storage().open(key).close()
    except ObjectMissing:
        return False
    return True


def discarded() -> dict[str, int]:
    """Keys of objects that wait for their removal, and how often it was tried."""
    rows = session().execute(sa.select(DiscardedObject.storage_key, DiscardedObject.attempts)).all()
    session().rollback()
    return {key: attempts for key, attempts in rows}  # noqa: C416


@contextmanager
def later(**units: float) -> Iterator[None]:
    """Some time later, for the application and its database."""
    now = clock.now() + timedelta(**units)
    with clock.use(lambda: now):
        yield


class Deleting:
    """A store that does something else before it deletes."""

    def __init__(self, store: Storage, before: Callable[[str], object]) -> None:
        self._store, self._before = store, before
        self.asked: list[str] = []

    def delete(self, key: str) -> None:
        self.asked.append(key)
        self._before(key)
        self._store.delete(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@contextmanager
def deleting(app: Flask, before: Callable[[str], object]) -> Iterator[Deleting]:
    """Inside the block the store calls ``before`` with each key that it is to delete."""
    real = app.extensions["taskapi_storage"]
    app.extensions["taskapi_storage"] = store = Deleting(real, before)
    try:
        yield store
    finally:
        app.extensions["taskapi_storage"] = real


def refuse(_key: str) -> None:
    raise StorageUnavailable
