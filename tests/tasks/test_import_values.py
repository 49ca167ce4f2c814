"""What cells mean, as other systems write them."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from taskapi.core.json import format_time
from taskapi.tasks.importing import values
from taskapi.tasks.importing.values import WrongValue

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("cell", "status"),
    [
        *((word, "todo") for word in ("todo", "To-Do", "TO DO", "open", "New", "true", "1", "Yes")),
        *((word, "in_progress") for word in ("in_progress", "In Progress", "doing", "WIP")),
        *((word, "done") for word in ("done", "Closed", "completed", "false", "0", "No")),
        *((word, "cancelled") for word in ("cancelled", "canceled", "wontfix", "Won't fix")),
        ("Overdue", None),
    ],
)
def test_a_status_is_read_as_others_write_it(cell: str, status: str | None) -> None:
    assert values.status(cell) == status


@pytest.mark.parametrize(
    ("cell", "status"), [("true", "done"), ("1", "done"), ("no", "todo"), ("FALSE", "todo")]
)
def test_whether_it_is_completed_is_the_other_way_round(cell: str, status: str) -> None:
    assert values.completed(cell) == status


@pytest.mark.parametrize(
    ("cell", "priority"),
    [
        ("HIGH", "high"),
        ("1", "urgent"),
        ("4", "low"),
        ("2", "high"),
        ("None", "medium"),
        ("p1", "urgent"),
        ("P4", "low"),
        ("Normal", "medium"),
    ],
)
def test_a_priority_is_read_as_others_write_it(cell: str, priority: str) -> None:
    assert values.priority(cell) == priority


@pytest.mark.parametrize(
    ("cell", "due"),
    [
        ("2031-01-15T09:00:00Z", "2031-01-15T09:00:00Z"),
        ("2031-01-15T09:00:00+02:00", "2031-01-15T07:00:00Z"),
        ("2031-01-15", "2031-01-15T22:59:59Z"),
        ("2031-07-15 09:30", "2031-07-15T07:30:00Z"),
        ("2031-01-15 09:30:15", "2031-01-15T08:30:15Z"),
        ("15.1.2031", "2031-01-15T22:59:59Z"),
        ("15.01.2031 9:30", "2031-01-15T08:30:00Z"),
        ("15.01.2031 9:30:15", "2031-01-15T08:30:15Z"),
        ("Jan 15 2031", "2031-01-15T22:59:59Z"),
        ("January 15, 2031 9:30", "2031-01-15T08:30:00Z"),
        ("1/15/2031", "2031-01-15T22:59:59Z"),
        ("15/1/2031", "2031-01-15T22:59:59Z"),
        ("5/5/2031", "2031-05-05T21:59:59Z"),
    ],
)
def test_a_date_is_read_in_the_zone_of_its_reader(cell: str, due: str) -> None:
    found: datetime = values.due_date(cell, PARIS)
    assert format_time(found) == due


@pytest.mark.parametrize(
    "cell",
    [
        "4/5/2031",
        "13/13/2031",
        "2031-02-30",
        "tomorrow",
        "Feb 30 2031",
        "0001-01-01",
        "9999-12-31",
        "99.99.9999",
        "1",
    ],
)
def test_what_is_no_date_or_may_be_two_is_refused(cell: str) -> None:
    with pytest.raises(WrongValue):
        values.due_date(cell, PARIS)


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("Home, Tea;Milk | Home", ["Home", "Tea", "Milk"]),
        ('["a, b", "c"]', ["a, b", "c"]),
        ("[draft], tea", ["[draft]", "tea"]),
        (" ; ,", []),
    ],
)
def test_tags_are_parted(cell: str, tags: list[str]) -> None:
    assert values.tags(cell) == tags


@pytest.mark.parametrize("read", [values.status, values.completed, values.priority, values.flag])
def test_an_unknown_word_is_refused_with_the_word(read: object) -> None:
    assert callable(read)
    with pytest.raises(WrongValue, match="soon"):
        read("soon")


def test_a_list_of_tags_without_end_is_a_name_like_any_other() -> None:
    assert values.tags("[" * 100_000) == ["[" * 100_000]
