"""Whether something grew, and whether somebody who listened heard all that is theirs, once and in order."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

# A moment in seconds since 1970, and what was measured then.
Point = tuple[float, float]


def growth(points: Sequence[Point], *, first: tuple[float, float], last: tuple[float, float]) -> float:
    """Per cent, from the median of one span of time to that of a later one."""
    before, after = (
        statistics.median(value for at, value in points if begin <= at < end) for begin, end in (first, last)
    )
    return (after / before - 1) * 100


def misheard(heard: Sequence[str], own: Sequence[str]) -> Iterator[str]:
    """What is wrong with what a listener heard.

    Args:
        heard: the ids of events, as they came, however often the listener was away meanwhile.
        own: the ids of those that they must have heard, in the order of the log.
    """
    yield from (f"{one} was not heard" for one in own if one not in set(heard))
    yield from (f"{one} was heard {number} times" for one, number in Counter(heard).items() if number > 1)
    places = {one: place for place, one in enumerate(own)}
    known = [one for one in heard if one in places]
    yield from (
        f"{after} was heard after {before}"
        for before, after in pairwise(known)
        if places[after] < places[before]
    )
