"""Range: which part of a file is asked for"""

import pytest

from taskapi.files.errors import RangeNotSatisfiable
from taskapi.files.ranges import Part, requested_part


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-9", 0, 10),
        ("bytes=0-99", 0, 10),
        ("bytes=9-", 9, 10),
        ("bytes=-1", 9, 10),
        ("bytes=-99", 0, 10),
        ("bytes= 2-3 ", 2, 4),
        ("BYTES=2-3", 2, 4),
        (f"bytes=3-{'9' * 19}", 3, 10),
    ],
)
def test_one_range_is_a_part(header: str, start: int, end: int) -> None:
    assert requested_part(header, 10) == Part(start, end)


@pytest.mark.parametrize(
    "header",
    [
        None,
        *("", "bytes", "bytes=", "bytes=-", "bytes=x-y", "bytes=1", "bytes=3-2", "bytes 0-1", "0-1"),
        *("lines=0-1", "bytes=0x1-2", "bytes=--1", "bytes=1-2-3", "bytes=+1-2", "bytes=\u0661-\u0662"),
        *("bytes=0-1,3-4", "bytes=0-1, bytes=3-4", f"bytes={'9' * 20}-"),
    ],
)
def test_what_is_no_range_asks_for_all(header: str | None) -> None:
    assert requested_part(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-11", "bytes=-0", f"bytes={'9' * 19}-"])
def test_a_range_beyond_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as raised:
        requested_part(header, 10)
    assert raised.value.headers["Content-Range"] == "bytes */10"


def test_of_an_empty_file_the_last_bytes_are_all_of_it() -> None:
    assert requested_part("bytes=-5", 0) is None
    with pytest.raises(RangeNotSatisfiable):
        requested_part("bytes=0-", 0)


def test_a_part_names_itself() -> None:
    assert Part(2, 5).content_range(10) == "bytes 2-4/10"
    assert Part(2, 5).length == 3
