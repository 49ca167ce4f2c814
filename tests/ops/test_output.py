"""How the lines of several processes become one output."""

import io
import os

from taskapi.ops.output import LineBuffer, Output


def test_lines_are_put_together_from_any_chunks() -> None:
    lines = LineBuffer()
    assert [lines.feed(chunk) for chunk in (b"a", b"b\nc\nd", b"\n", b"e", b"")] == [
        [],
        [b"ab", b"c"],
        [b"d"],
        [],
        [b"e"],
    ]


def test_an_endless_line_is_printed_in_pieces() -> None:
    lines = LineBuffer()
    assert lines.feed(b"x" * LineBuffer.LIMIT) == [b"x" * LineBuffer.LIMIT]
    assert lines.feed(b"") == []


def test_the_names_are_of_one_width() -> None:
    stream = io.StringIO()
    output = Output(stream, ["up", "scheduler"])
    output.line("up", "one")
    output.line("scheduler", b"two")
    assert [line[9:] for line in stream.getvalue().splitlines()] == ["up        | one", "scheduler | two"]


def test_a_reader_that_went_away_does_not_end_the_service() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with io.TextIOWrapper(io.FileIO(writer, "w"), write_through=True) as stream:
        output = Output(stream, ["up"])
        output.line("up", "nobody reads this")
        output.block("nor this")


def test_letters_that_the_terminal_lacks_are_spelled() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as stream:
        Output(stream, ["up"]).line("up", "café")
        assert raw.getvalue().endswith(b"| caf\\xe9\n")
