"""Many values, some at a time."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

# How many values a statement may hold differs between databases; this many each takes.
VALUES_AT_ONCE = 500


def batches(values: Sequence[T], size: int = VALUES_AT_ONCE) -> Iterator[Sequence[T]]:
    """The values in their order, so many at a time, for statements that name each."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
