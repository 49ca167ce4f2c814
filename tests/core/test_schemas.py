"""Fields: what people send is read, what they cannot mean is refused."""

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
import pytest
from marshmallow import fields

from taskapi.core.openapi import json_schema
from taskapi.core.schemas import (
    MAX_HINTS,
    Flag,
    QueryNumber,
    Schema,
    Seconds,
    Text,
    Time,
    TimeZone,
    WholeNumber,
    Word,
    flatten_messages,
    parse_duration,
)

TIME, ZONE, SECONDS = Time(), TimeZone(), Seconds(minimum=1, maximum=86_400)
LINE, PARAGRAPH = Text(minimum=1, maximum=5), Text(minimum=1, maximum=50, single_line=False)
WORD, NUMBER, QUERY_NUMBER = (
    Word(("low", "high")),
    WholeNumber(minimum=1, maximum=9),
    QueryNumber(minimum=1, maximum=9),
)


@pytest.mark.parametrize(
    ("field", "sent", "read"),
    [
        (TIME, "2026-11-20T09:00:00Z", datetime(2026, 11, 20, 9, tzinfo=UTC)),
        (TIME, "2026-11-20T09:00:00+05:30", datetime(2026, 11, 20, 3, 30, tzinfo=UTC)),
        (TIME, "2026-11-20t09:00:00.25z", datetime(2026, 11, 20, 9, 0, 0, 250_000, tzinfo=UTC)),
        (TIME, "1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        (ZONE, "Europe/Paris", "Europe/Paris"),
        (ZONE, "UTC", "UTC"),
        (SECONDS, 90, 90),
        (SECONDS, 1.5, 1.5),
        (SECONDS, "PT15M", 900),
        (SECONDS, " p1d ", 86_400),
        (LINE, "  ab ", "ab"),
        (LINE, "ünï😀!", "ünï😀!"),
        (PARAGRAPH, " a\n\tb\r\n", " a\n\tb\r\n"),
        (WORD, " HIGH ", "high"),
        (NUMBER, 9, 9),
        (QUERY_NUMBER, "7", 7),
        (Flag(), "TRUE", True),
        (Flag(), "tRue", True),
        (Flag(), "fALSE", False),
        (Flag(), False, False),
    ],
)
def test_what_is_meant_is_read(field: fields.Field[Any], sent: object, read: object) -> None:
    assert field.deserialize(sent) == read


@pytest.mark.parametrize(
    ("field", "sent", "message"),
    [
        (TIME, "2026-11-20T09:00:00", "offset is missing"),
        (TIME, "2026-11-20", "offset is missing"),
        (TIME, "tomorrow", "Not a time"),
        (TIME, "2026-02-30T09:00:00Z", "Not a time"),
        (TIME, "2026-11-20T24:30:00Z", "Not a time"),
        (TIME, 1_700_000_000, "Not a time"),
        (TIME, "1969-12-31T23:59:59Z", "between 1970 and 2199"),
        (TIME, "2200-01-01T00:00:00Z", "between 1970 and 2199"),
        (TIME, "0001-01-01T00:00:00+23:59", "between 1970 and 2199"),
        (ZONE, "Europe/Pariss", r"Did you mean Europe/Paris\?"),
        (ZONE, "europe/paris", "Not an IANA time zone"),
        (ZONE, "CEST+2", "Not an IANA time zone"),
        (ZONE, "../../etc/passwd", "Not an IANA time zone"),
        (ZONE, "", "Not an IANA time zone"),
        (ZONE, 1, "Not a valid string"),
        (SECONDS, True, "Not a duration"),
        (SECONDS, float("inf"), "Not a duration"),
        (SECONDS, "90", "Not a duration"),
        (SECONDS, 0.5, "greater than or equal to 1"),
        (SECONDS, "P2D", "less than or equal to 86400"),
        (LINE, "   ", "between 1 and 5|Shorter"),
        (LINE, "abcdef", "between 1 and 5|Longer"),
        (LINE, "a\nb", "Control characters"),
        (LINE, "a\x1bb", "Control characters"),
        (LINE, "a\x7fb", "Control characters"),
        (PARAGRAPH, " \n\t ", "between 1 and 50|Shorter"),
        (PARAGRAPH, "a" + " " * 50, "between 1 and 50|Longer"),
        (PARAGRAPH, "a\x00b", "Control characters"),
        (WORD, "medium", "Must be one of"),
        (WORD, 1, "Not a valid string"),
        (NUMBER, 5.0, "Not a valid integer"),
        (NUMBER, True, "Not a valid integer"),
        (NUMBER, "5", "Not a valid integer"),
        (NUMBER, 10, "less than or equal to 9"),
        (QUERY_NUMBER, "٣", "Not a valid integer"),
        (QUERY_NUMBER, "1e0", "Not a valid integer"),
        (QUERY_NUMBER, "", "Not a valid integer"),
        (Flag(), "maybe", "Not a valid boolean"),
        (Flag(), 2, "Not a valid boolean"),
    ],
)
def test_a_value_that_means_nothing_is_refused(field: fields.Field[Any], sent: object, message: str) -> None:
    with pytest.raises(ma.ValidationError, match=message):
        field.deserialize(sent)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1S", 1),
        ("PT0.5S", 0.5),
        ("P1W", 604_800),
        ("P1DT2H3M4S", 93_784),
        ("PT36H", 129_600),
        ("P1W1D", 691_200),
    ],
)
def test_a_duration_is_read_as_iso_8601_has_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["P", "PT", "P1DT", "1D", "PT1", "P-1D", "PT1H2S3M", "", "P1.5D", "PT1,5S"])
def test_what_only_looks_like_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ma.ValidationError, match="Not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["P1Y", "P1M", "P1Y2M3D", "p2m"])
def test_a_duration_of_varying_length_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(ma.ValidationError, match="Years and months vary"):
        parse_duration(text)


class Inner(Schema):
    colour = fields.String(required=True)


class Outer(Schema):
    name = Text(maximum=10)
    at = Time()
    inner = fields.Nested(Inner)
    many = fields.List(fields.Nested(Inner))


@pytest.mark.parametrize(
    ("sent", "errors"),
    [
        ({"nmae": "x"}, {"nmae": ["Unknown field. Did you mean 'name'?"]}),
        ({"zzz": 1}, {"zzz": ["Unknown field."]}),
        (
            {"inner": {"color": "red"}},
            {
                "inner.colour": ["Missing data for required field."],
                "inner.color": ["Unknown field. Did you mean 'colour'?"],
            },
        ),
        ({"many": [{"colour": "red"}, {}]}, {"many.1.colour": ["Missing data for required field."]}),
        ({"many": 1}, {"many": ["Not a valid list."]}),
        ({"inner": 1}, {"inner": ["Invalid input type."]}),
    ],
)
def test_errors_name_the_path_of_the_field(sent: dict[str, Any], errors: dict[str, list[str]]) -> None:
    with pytest.raises(ma.ValidationError) as refused:
        Outer().load(sent)
    assert flatten_messages(refused.value.messages) == errors


def test_of_thousands_of_unknown_fields_the_first_are_named() -> None:
    with pytest.raises(ma.ValidationError) as refused:
        Outer().load({f"nmae{number}": 0 for number in range(3_000)})
    errors = flatten_messages(refused.value.messages)
    assert len(errors) == MAX_HINTS
    assert [texts[1:] for texts in errors.values() if len(texts) > 1] == [["Unknown, too: 2,980 more."]]


def test_an_absent_time_is_written_as_null() -> None:
    assert Outer().dump({"at": None}) == {"at": None}


def test_a_json_schema_stands_by_itself() -> None:
    document = json_schema(Outer)
    assert document["additionalProperties"] is False
    assert "$ref" not in str(document)
    assert document["properties"]["inner"]["properties"]["colour"] == {"type": "string"}
