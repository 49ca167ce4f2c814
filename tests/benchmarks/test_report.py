"""Tables go to their places."""

import pytest

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
