"""The clock, and its replacement in tests."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from taskapi.core import clock

MOMENT = datetime(2031, 1, 1, tzinfo=UTC)


def test_now_is_aware_and_in_utc() -> None:
    assert clock.now().tzinfo is UTC
    assert not clock.is_virtual()


def test_a_virtual_clock_holds_in_every_thread() -> None:
    with clock.use(lambda: MOMENT), ThreadPoolExecutor(1) as threads:
        assert threads.submit(clock.now).result() == MOMENT


def test_the_clock_is_put_back_even_after_an_error() -> None:
    with pytest.raises(ValueError, match="bug"), clock.use(lambda: MOMENT):
        raise ValueError("bug")
    assert not clock.is_virtual()
