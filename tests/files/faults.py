"""Stores that fail in tests, in the place of the real one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from flask import Flask

from taskapi.clients.storage.base import Reader, StorageUnavailable


class _Stopping:
    """Reads until ``allowed`` pieces were given, then calls ``fail``."""

    def __init__(self, reader: Reader, store: "FailingStore") -> None:
        self._reader, self._store = reader, store

    def read(self, size: int, /) -> bytes:
        self._store.step()
        return self._reader.read(size)

    def close(self) -> None:
        self._reader.close()


class FailingStore:
    """The real store, until so many reads were made."""

    def __init__(self, store: Any, allowed: int, fail: Callable[[], object]) -> None:
        self.whole, self._allowed, self._fail = store, allowed, fail

    def step(self) -> None:
        if self._allowed == 0:
            self._fail()
        self._allowed -= 1

    def open(self, key: str, *, start: int = 0) -> Reader:
        return _Stopping(self.whole.open(key, start=start), self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)


def go_away() -> None:
    raise StorageUnavailable


@contextmanager
def store_replaced(app: Flask, store: Any) -> Iterator[None]:
    """Inside the block the application has this store."""
    there = app.extensions["taskapi_storage"]
    app.extensions["taskapi_storage"] = store
    try:
        yield
    finally:
        app.extensions["taskapi_storage"] = there


def store_failing(
    app: Flask, *, after_reads: int = 0, fail: Callable[[], object] = go_away
) -> AbstractContextManager[None]:
    """Inside the block the store fails when it was read from so often, by ``fail``."""
    return store_replaced(app, FailingStore(app.extensions["taskapi_storage"], after_reads, fail))


def store_whole(app: Flask) -> AbstractContextManager[None]:
    """Inside the block the store that fails is the real one again: for what ``fail`` does."""
    return store_replaced(app, app.extensions["taskapi_storage"].whole)
