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


@pytest.mark.parametrize(("at_least", "expected"), [(None, 0), (0, 0), (30, 30), (60, 60), (1e9, 60)])
def test_what_the_other_side_asks_for_is_waited_for_up_to_the_cap(
    at_least: float | None, expected: float
) -> None:
    policy = {**POLICY, "delay": 0.0}
    assert retry_delay(policy, failures=1, at_least=at_least) == expected


def test_the_own_pause_counts_when_it_is_longer() -> None:
    delays = [retry_delay(POLICY, failures=4, at_least=1) or 0.0 for _ in range(200)]
    assert min(delays) >= 1
    assert max(delays) > 20


def test_many_failures_do_not_overflow() -> None:
    endless = {"max_attempts": 10_000, "delay": 1e5, "factor": 100.0, "max_delay": 3600.0}
    assert 0 <= (retry_delay(endless, failures=9_999) or 0.0) <= 3600
