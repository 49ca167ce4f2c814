"""When a failed attempt is made again."""

import random

import pytest

from taskapi.schedules.timing.retry import retry_delay

POLICY = {"max_attempts": 5, "delay": 10.0, "factor": 2.0, "max_delay": 60.0}


@pytest.mark.parametrize(("failures", "ceiling"), [(1, 10), (2, 20), (3, 40), (4, 60)])
def test_the_pause_grows_to_its_cap_with_full_jitter(failures: int, ceiling: float) -> None:
    chance = random.Random(1)
    delays = [retry_delay(POLICY, failures=failures, chance=chance) or 0.0 for _ in range(2000)]
    assert 0 <= min(delays) < ceiling * 0.05
    assert ceiling * 0.95 < max(delays) <= ceiling


def test_after_the_last_attempt_there_is_none() -> None:
    assert retry_delay(POLICY, failures=5) is None


def test_many_failures_do_not_overflow() -> None:
    endless = {"max_attempts": 10_000, "delay": 1e5, "factor": 100.0, "max_delay": 3600.0}
    assert 0 <= (retry_delay(endless, failures=9_999) or 0.0) <= 3600
