"""Tables go to their places, and the guard tells what has become worse."""

import pytest

from benchmarks.guard import compare
from benchmarks.report import replaced
from benchmarks.results import quantile, ratio, table

pytestmark = pytest.mark.one_database

PAGE = "Before\n<!-- http: begin -->old<!-- http: end -->\nafter\n"


def test_a_table_takes_the_place_of_the_old_one() -> None:
    assert replaced(PAGE, "http", "new") == (
        "Before\n<!-- http: begin -->\n\nnew\n\n<!-- http: end -->\nafter\n"
    )


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no marks for queues"):
        replaced(PAGE, "queues", "new")


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [(1, 2)]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_ratios_are_of_the_same_round() -> None:
    assert ratio([2, 6, 8], [1, 2, 2]) == "3.00 [2.00-4.00]"


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([1, 2, 3, 4], 0.5) == 3
    assert quantile([1, 2, 3, 4], 1) == 4
    assert quantile([], 0.5) == 0


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
