"""What a request costs is what ``benchmarks/baseline.json`` says; what has become worse is told."""

import json

import pytest

from benchmarks.guard import BASELINE, COUNTED, compare, count_requests
from benchmarks.installation import installation

pytestmark = pytest.mark.one_database
KEPT = json.loads(BASELINE.read_text())


@pytest.mark.parametrize("cached", [False, True], ids=["uncached", "cached"])
def test_requests_cost_what_is_kept_to_the_statement_and_the_command(cached: bool) -> None:
    with installation(CACHE_TTL="300" if cached else "0", WEATHER="off", **COUNTED) as app:
        found = count_requests(app, cached=cached)
    assert found == {name: KEPT[name] for name in found}


def test_one_more_of_what_is_exact_fails_and_less_does_not() -> None:
    before, now = (
        {"list: statements": 2.0, "get: statements": 2.0},
        {"list: statements": 3.0, "get: statements": 1.0},
    )
    assert compare(before, now) == (["list: statements: 2 before, 3 now"], [])


def test_what_is_not_counted_any_more_fails_but_for_instructions() -> None:
    before = {"list: statements": 2.0, "list: thousand instructions": 2.0}
    assert compare(before, {}) == (["list: statements: not counted any more"], [])


def test_instructions_only_warn_and_beyond_a_tenth() -> None:
    name = "list: thousand instructions"
    assert compare({name: 100}, {name: 109}) == ([], [])
    assert compare({name: 100}, {name: 111}) == ([], [f"{name}: 100 before, 111 now"])


def test_what_nothing_is_kept_of_fails_but_for_instructions() -> None:
    told = compare({}, {"list: statements": 1.0, "list: thousand instructions": 1.0})
    assert told == (
        ["list: statements: not kept yet, see --write"],
        ["list: thousand instructions: not kept yet, see --write"],
    )
