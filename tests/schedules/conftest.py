"""A virtual clock for tests of schedules."""

from collections.abc import Iterator

import pytest

from tests.schedules.making import Time, at


@pytest.fixture
def time() -> Iterator[Time]:
    """It is Friday, 20 November 2026, 09:00 UTC, until the test lets time pass."""
    with Time(at("2026-11-20 09:00")).running() as virtual:
        yield virtual
