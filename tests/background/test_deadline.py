"""A time limit on a piece of work."""

import signal
import time

import pytest

from taskapi.background.deadline import DeadlineExceeded, deadline


def test_work_that_takes_too_long_is_interrupted() -> None:
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded), deadline(0.1):
        time.sleep(5)
    assert time.monotonic() - started < 4


def test_work_that_is_done_in_time_is_not() -> None:
    with deadline(60):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_outer_limit_goes_on_with_what_was_left() -> None:
    with deadline(60):
        with deadline(120):
            time.sleep(0.1)
        left, _ = signal.getitimer(signal.ITIMER_REAL)
    assert 30 < left < 59.95


def test_an_outer_limit_that_passed_meanwhile_fires_at_once() -> None:
    with pytest.raises(DeadlineExceeded), deadline(0.1):
        outlast_the_outer_limit()


def outlast_the_outer_limit() -> None:
    with pytest.raises(DeadlineExceeded), deadline(0.2):
        time.sleep(5)
    time.sleep(0.5)
    raise AssertionError("the outer limit was forgotten")


def test_the_handler_before_it_is_put_back() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with deadline(1):
        assert signal.getsignal(signal.SIGALRM) is not before
    assert signal.getsignal(signal.SIGALRM) is before
