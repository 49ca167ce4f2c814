"""A virtual clock, a Redis that is away, and an action that obeys, for tests of schedules."""

from collections.abc import Iterator

import pytest

from tests.schedules.making import Time, at
from tests.schedules.probe import Probe, installed


@pytest.fixture
def time() -> Iterator[Time]:
    """It is Friday, 20 November 2026, 09:00 UTC, until the test lets time pass."""
    with Time(at("2026-11-20 09:00")).running() as virtual:
        yield virtual


@pytest.fixture
def probe() -> Iterator[Probe]:
    """An action named ``probe`` that does what the test tells it."""
    behaviour = Probe()
    with installed("probe", behaviour.run):
        yield behaviour
