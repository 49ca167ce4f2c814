"""What judges the crowd finds what grew, what a listener missed, and that too little was done."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.e2e.crowd.floors import Floors, Measured, shortfalls
from tests.e2e.crowd.judging import growth, misheard
from tests.e2e.crowd.lateness import Lateness
from tests.e2e.crowd.people import SHARES

pytestmark = pytest.mark.e2e

FLOORS = Floors(answered_within=1, p99_within=5, done_part=0.5, begun_within=100)
# Just as many as a hundred people come to in a minute if each answer takes a second.
ENOUGH = Measured(
    people=100,
    seconds=60,
    answers=Counter({kind: round(2_400 * share) for kind, share in SHARES.items()}),
    p99=5,
    due=1_000,
    lateness=Lateness(made_p99=0, made_last=0, begun_p50=0, begun_p99=100, done_with_people=500),
)
TOO_LITTLE = {
    "1200 answers, not 2400": replace(ENOUGH, answers=Counter(list=600, get=600)),
    "83 answers to comment, not 84": replace(ENOUGH, answers=Counter({**ENOUGH.answers, "comment": 83})),
    "0 answers to download, not 96": replace(ENOUGH, answers=ENOUGH.answers - Counter(download=999)),
    "one of 100 answers took 5.1 s, not 5": replace(ENOUGH, p99=5.1),
    "499 of 1000 runs were done beside the people": replace(
        ENOUGH, lateness=replace(ENOUGH.lateness, done_with_people=499)
    ),
    "one of 100 runs began after inf s, not 100": replace(
        ENOUGH, lateness=replace(ENOUGH.lateness, begun_p99=float("inf"))
    ),
}


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


def test_what_reaches_all_floors_is_enough() -> None:
    assert list(shortfalls(ENOUGH, FLOORS)) == []


@pytest.mark.parametrize("words", TOO_LITTLE)
def test_what_stays_below_a_floor_is_told(words: str) -> None:
    assert words in list(shortfalls(TOO_LITTLE[words], FLOORS))
