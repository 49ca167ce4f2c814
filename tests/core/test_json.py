"""JSON: read strictly, written fast."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from taskapi.core.errors import MalformedJson
from taskapi.core.json import OrjsonProvider, format_time, load_strict
from tests.timed import work_of

provider = OrjsonProvider(Flask("test"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"1 2", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"\xff", "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\\u0000"', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'"\x00"', "not JSON"),
        (b'"\\ud800"', "surrogate"),
        (b'["\\udfff"]', "surrogate"),
        (b'{"\\ud800": 1}', "surrogate"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b"1e400", "too large"),
        (b"-1e400", "too large"),
        (b"9223372036854775808", "64 bits"),
        (b"-9223372036854775808", "64 bits"),
        (b"1" * 5000, "64 bits"),
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b'{"a": {"b": 1, "c": 2, "b": 1}}', "'b' stands twice"),
        (b'{"a": 1, "\\u0061": 2}', "'a' stands twice"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b"[" * 100_000 + b"]" * 100_000, "deeper than 64"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deeper than 64"),
        (b"[" * 100_000, "deeper than 64|not JSON"),
    ],
    ids=lambda value: str(value[:24]),
)
def test_a_hostile_body_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedJson, match=reason):
        load_strict(body)


def work_to_refuse(text: str, reason: str) -> float:
    def refuse() -> None:
        with pytest.raises(MalformedJson, match=reason):
            load_strict(text.encode())

    return work_of(refuse)


def test_a_name_that_comes_twice_is_found_as_fast_as_any_other_fault() -> None:
    """The last of as many as a body has room for: to search all of them for each would take minutes."""
    names = [f'"{number}":0' for number in range(80_000)]
    at_the_end = work_to_refuse("{" + ",".join([*names, "!"]) + "}", "not JSON")
    twice = work_to_refuse("{" + ",".join([*names, names[-1]]) + "}", "'79999' stands twice")
    assert twice < 10 * at_the_end + 0.1


def test_of_a_long_name_that_comes_twice_the_beginning_is_told() -> None:
    name = "n" * 10_000
    with pytest.raises(MalformedJson) as refused:
        load_strict(f'{{"{name}":1,"{name}":2}}'.encode())
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775807", -(2**63) + 1),
        (b"1.5e300", 1.5e300),
        (b'"\\ud83d\\ude00"', "😀"),
        ('"😀"'.encode(), "😀"),
        (b" [1, null, true] ", [1, None, True]),
        (b"[" * 64 + b"]" * 64, None),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_lies_within_the_limits_is_read(body: bytes, value: object) -> None:
    read = load_strict(body)
    assert value is None or read == value


@given(st.binary(max_size=200))
def test_no_bytes_bring_it_down(body: bytes) -> None:
    with suppress(MalformedJson):
        load_strict(body)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), inner, max_size=3
        )
    ),
    max_leaves=10,
)


@given(json_values)
def test_what_is_written_can_be_read_again(value: object) -> None:
    assert provider.loads(provider.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2026, 11, 20, 9, tzinfo=UTC), '"2026-11-20T09:00:00Z"'),
        (datetime(2026, 11, 20, 9, tzinfo=timezone(timedelta(hours=1))), '"2026-11-20T08:00:00Z"'),
        (datetime(2026, 11, 20, 9, 0, 0, 5999, tzinfo=UTC), '"2026-11-20T09:00:00.005Z"'),
        (date(2026, 11, 20), '"2026-11-20"'),
        (UUID(int=7), '"00000000-0000-0000-0000-000000000007"'),
        ({"ü": "😀"}, '{"ü":"😀"}'),
    ],
    ids=str,
)
def test_values_are_written_as_the_contract_has_them(value: object, text: str) -> None:
    assert provider.dumps(value) == text


def test_what_is_no_json_is_an_error_of_the_program() -> None:
    with pytest.raises(TypeError, match="set"):
        provider.dumps({1, 2})


def test_a_time_is_written_in_utc() -> None:
    assert (
        format_time(datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2))))
        == "2026-03-29T00:30:00Z"
    )
