"""The one source of "now" for Python code; tests may replace it for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def _system_time() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _system_time


def now() -> datetime:
    """The current time, aware, in UTC."""
    return _source()


def is_virtual() -> bool:
    """Whether time is under a test's control, so that the database's clock must not be asked."""
    return _source is not _system_time


@contextmanager
def use(source: Callable[[], datetime]) -> Iterator[None]:
    """Take "now" from ``source`` (aware, UTC) inside the block, in every thread."""
    global _source
    previous, _source = _source, source
    try:
        yield
    finally:
        _source = previous
