"""Receiving: forms of several files and raw bodies, each straight into a file that is gone afterwards."""

import hashlib
import io
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from flask import Flask, Request
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.test import EnvironBuilder

from taskapi.core.errors import ContentTooLarge, ValidationFailed
from taskapi.core.incoming import (
    BLOCK_BYTES,
    PATIENCE_SECONDS,
    Content,
    Limits,
    UploadTooSlow,
    incoming_file,
    receive_raw,
    seconds_allowed,
)
from taskapi.core.multipart import Form, FormRules, MalformedForm, receive_form

RECEIVER = Flask("receiver")


class Slices(io.RawIOBase):
    """A body that arrives in pieces of these sizes, then as it is asked for."""

    def __init__(self, content: bytes, sizes: Iterable[int]) -> None:
        self._rest, self._sizes = content, iter(sizes)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        wanted = min(size, next(self._sizes, size))
        piece, self._rest = self._rest[:wanted], self._rest[wanted:]
        return piece


def request(body: bytes, sizes: Iterable[int] = (), *, announced: int | None = None) -> Request:
    environ = EnvironBuilder(method="POST").get_environ()
    environ["wsgi.input"], environ["wsgi.input_terminated"] = Slices(body, sizes), True
    environ["CONTENT_TYPE"] = "multipart/form-data; boundary=limit"
    environ["CONTENT_LENGTH"] = str(len(body) if announced is None else announced)
    return RECEIVER.request_class(environ)


def part(disposition: str, content: bytes) -> bytes:
    return (
        b"--limit\r\nContent-Disposition: form-data; "
        + disposition.encode()
        + b"\r\n\r\n"
        + content
        + b"\r\n"
    )


def file(name: str, content: bytes) -> bytes:
    return part(f'name="file"; filename="{name}"', content)


END = b"--limit--\r\n"


def receive(folder: Path, body: bytes, sizes: Iterable[int] = (), **rules: object) -> list[tuple[str, bytes]]:
    """Names and contents of the files of a form."""
    limits = Limits(directory=folder, max_size=100_000)
    found = FormRules(**rules)  # type: ignore[arg-type]
    with receive_form(request(body, sizes), rules=found, limits=limits) as form:
        return [(item.filename, checked(item.content)) for item in form.files]


def checked(content: Content) -> bytes:
    data = content.path.read_bytes()
    assert (content.size, content.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert content.path.stat().st_mode & 0o777 == 0o600
    return data


def test_several_files_keep_their_order_and_are_gone_afterwards(tmp_path: Path) -> None:
    body = file("b", b"1") + part('name="note"', b"hello") + file("a", b"2") + file("b", b"") + END
    assert receive(tmp_path, body, max_files=3, fields=("note",)) == [("b", b"1"), ("a", b"2"), ("b", b"")]
    assert list(tmp_path.iterdir()) == []


def test_fields_may_come_before_and_after_the_file(tmp_path: Path) -> None:
    limits = Limits(directory=tmp_path, max_size=10)
    rules = FormRules(fields=("a", "b"))
    body = part('name="a"', "é".encode()) + file("x", b"1") + part('name="b"', b"") + END
    with receive_form(request(body), rules=rules, limits=limits) as form:
        assert isinstance(form, Form)
        assert form.fields == {"a": "é", "b": ""}


def test_one_file_too_many_is_refused_with_those_before_it(tmp_path: Path) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        receive(tmp_path, file("a", b"1") * 3 + END, max_files=2)
    assert refusal.value.errors == {"file": ["Send no more files."]}
    assert list(tmp_path.iterdir()) == []


HOSTILE = [
    b"\r\n--limi",
    b"--limit",
    b"\r\n--limitless",
    b"\r\n--limit -",
    b"\r",
    b"\n",
    b"\r\n",
    b"x" * 70_000,
]


@pytest.mark.parametrize("content", [b"", b"0", b"\r", b"\n", b"\r\n", b"0\r\n-", b"\r\n--limi"])
@pytest.mark.parametrize("end", [END, b"--limit-- \t \r\n", b"--limit--"])
def test_a_cut_at_any_place_changes_nothing(tmp_path: Path, content: bytes, end: bytes) -> None:
    body = file("a", content) + file("b", content) + end
    for cut in range(1, len(body)):
        found = receive(tmp_path, body, [cut, len(body) - cut], max_files=2)
        assert found == [("a", content), ("b", content)], cut


@given(
    pieces=st.lists(st.sampled_from(HOSTILE) | st.binary(max_size=20), max_size=6),
    sizes=st.lists(st.integers(1, 50), max_size=200),
)
@settings(max_examples=40, deadline=None)
def test_a_content_comes_through_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], sizes: list[int]
) -> None:
    content = (
        b"".join(pieces)
        .replace(b"\r\n--limit\r\n", b"")
        .replace(b"\n--limit", b"")
        .replace(b"\r--limit", b"")
    )
    folder = tmp_path_factory.getbasetemp()
    if len(content) <= 100_000 and not content.startswith(b"--limit"):
        assert receive(folder, file("a", content) + END, sizes) == [("a", content)]


@given(
    body=st.binary(max_size=300) | st.lists(st.sampled_from([*HOSTILE, file("a", b"1"), END])).map(b"".join)
)
@settings(max_examples=40, deadline=None)
def test_whatever_comes_is_a_form_or_refused_and_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, body: bytes
) -> None:
    folder = tmp_path_factory.mktemp("incoming")
    limits = Limits(directory=folder, max_size=99)
    with (
        suppress(MalformedForm, ValidationFailed, ContentTooLarge, RequestEntityTooLarge),
        receive_form(request(body), rules=FormRules(), limits=limits) as form,
    ):
        assert [item.content.size <= 99 for item in form.files] == [True]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_file_is_gone_whatever_ends_its_block(tmp_path: Path, error: type[BaseException]) -> None:
    new = incoming_file(Limits(directory=tmp_path, max_size=9))
    new.__enter__().write(b"12345")
    assert len(list(tmp_path.iterdir())) == 1
    new.__exit__(error, error(), None)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_moved_stays(tmp_path: Path) -> None:
    with incoming_file(Limits(directory=tmp_path, max_size=9)) as new:
        new.write(b"12345")
        new.finish().path.rename(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(
    ("content", "is_text"),
    [
        (b"", True),
        ("é茶🍞\ufeff".encode(), True),
        (b"a\x00b", False),
        (b"\xff", False),
        ("é".encode()[:1], False),
        (b"\xed\xa0\x80", False),
    ],
)
def test_text_is_told_however_it_is_cut(tmp_path: Path, content: bytes, is_text: bool) -> None:
    for step in (1, 2, 100):
        with incoming_file(Limits(directory=tmp_path, max_size=99)) as new:
            for at in range(0, len(content), step):
                new.write(content[at : at + step])
            assert new.finish().is_text is is_text


@pytest.mark.parametrize("step", [BLOCK_BYTES // 3, BLOCK_BYTES, 3 * BLOCK_BYTES])
def test_blocks_are_hashed_however_they_are_cut(tmp_path: Path, step: int) -> None:
    content = bytes(range(256)) * 10_000
    with incoming_file(Limits(directory=tmp_path, max_size=len(content))) as new:
        for at in range(0, len(content), step):
            new.write(content[at : at + step])
        blocks = [content[at : at + BLOCK_BYTES] for at in range(0, len(content), BLOCK_BYTES)]
        assert new.finish().blocks == b"".join(hashlib.sha256(block).digest() for block in blocks)


def raw(folder: Path, body: bytes, *, announced: int | None = None) -> Content:
    limits = Limits(directory=folder, max_size=100)
    with incoming_file(limits) as new:
        return receive_raw(request(body, announced=announced), new, limits)


def test_a_body_is_as_long_as_it_says(tmp_path: Path) -> None:
    assert raw(tmp_path, b"x" * 100).size == 100
    for body, announced, error in (
        (b"x" * 101, None, ContentTooLarge),
        (b"x" * 101, 100, ContentTooLarge),
        (b"x" * 99, 100, UploadTooSlow),
    ):
        with pytest.raises(error):
            raw(tmp_path, body, announced=announced)


def test_who_sends_more_may_take_longer() -> None:
    assert seconds_allowed(0) == PATIENCE_SECONDS
    assert seconds_allowed(10_485_760) == PATIENCE_SECONDS + 1280


def test_a_form_without_an_end_is_malformed(tmp_path: Path) -> None:
    with pytest.raises(MalformedForm):
        receive(tmp_path, file("a", b"1"))
