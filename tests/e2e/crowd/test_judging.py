"""What judges the crowd finds what grew, and what a listener missed."""

import pytest

from tests.e2e.crowd.judging import growth, misheard

pytestmark = pytest.mark.e2e


def test_what_grows_after_the_first_span_is_seen_whatever_was_before() -> None:
    # A fault has emptied it at 50; from 70 on it grows by a half.
    points = [(at, 1000.0 if at < 50 else 100.0 if at < 85 else 150.0) for at in map(float, range(100))]
    assert growth(points, first=(70, 80), last=(90, 100)) == pytest.approx(50)
    assert growth(points, first=(20, 35), last=(90, 100)) < 0


def test_who_heard_all_of_their_own_in_order_missed_nothing() -> None:
    assert list(misheard(["a", "another's", "b", "c"], ["a", "b", "c"])) == []


def test_what_was_not_heard_is_found() -> None:
    assert list(misheard(["a", "c"], ["a", "b", "c"])) == ["b was not heard"]


def test_what_was_heard_twice_is_found() -> None:
    assert list(misheard(["a", "b", "a"], ["a", "b"])) == [
        "a was heard 2 times",
        "a was heard after b",
    ]


def test_what_was_heard_out_of_order_is_found() -> None:
    assert list(misheard(["b", "a"], ["a", "b"])) == ["a was heard after b"]
