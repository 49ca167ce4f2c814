"""The base of all schemas, and fields that read what people send and refuse what they cannot mean."""

import math
import re
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

import marshmallow as ma
from marshmallow import fields, validate

from taskapi.core.access import current_actor
from taskapi.core.json import format_time

# So many unknown fields are named, with those that may have been meant.
MAX_HINTS = 20
PLAIN_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
# Unicode's category Cc.
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Says of a text in a query that may be anything else what is refused in all of them.
WITHOUT_NUL = {"pattern": r"^[^\u0000]*$"}


class Schema(ma.Schema):
    """Refuses fields it does not know, naming the one that was probably meant."""

    # For the OpenAPI document: its answers carry an ETag; one of these fields must be sent.
    tagged: ClassVar[bool] = False
    # Sending no body at all is as sending an empty one.
    may_be_left_out: ClassVar[bool] = False
    # Its answers hold what lets somebody in: no cache may keep them.
    confidential: ClassVar[bool] = False
    exactly_one_of: ClassVar[tuple[str, ...]] = ()

    class Meta:
        unknown = ma.RAISE

    def handle_error(self, error: ma.ValidationError, data: Any, *, many: bool, **_kwargs: Any) -> None:
        messages = error.messages
        if many or not isinstance(messages, dict):
            return
        known = [field.data_key or name for name, field in self.load_fields.items()]
        unknown = [name for name, texts in messages.items() if texts == ["Unknown field."]]
        named, others = unknown[:MAX_HINTS], unknown[MAX_HINTS:]
        for name in named:
            messages[name] = [unknown_field_message(str(name), known)]
        # Of thousands nobody reads the names, and whoever sends them chooses how many there are.
        for name in others:
            del messages[name]
        if others:
            messages[named[-1]].append(f"Unknown, too: {len(others):,} more.")


def unknown_field_message(name: str, known: list[str]) -> str:
    """Says that a field is unknown and which one may have been meant."""
    close = get_close_matches(name, known, n=1)
    return f"Unknown field. Did you mean '{close[0]}'?" if close else "Unknown field."


def flatten_messages(messages: Any, path: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Marshmallow's nested messages as field path → messages, such as ``tasks.0.title``."""
    if not isinstance(messages, dict):
        texts = messages if isinstance(messages, list) else [messages]
        return {".".join(path) or "body": [str(text) for text in texts]}
    flat: dict[str, list[str]] = {}
    for key, inner in messages.items():
        deeper = path if key == "_schema" else (*path, str(key))
        for name, texts in flatten_messages(inner, deeper).items():
            flat.setdefault(name, []).extend(texts)
    return flat


class Time(fields.Field[datetime]):
    """RFC 3339 with an offset; dumped in UTC."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format_time(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str):
            raise ma.ValidationError("Not a time: send RFC 3339 text such as 2026-11-20T09:00:00Z.")
        try:
            moment = datetime.fromisoformat(value.upper())
        except ValueError:
            raise ma.ValidationError("Not a time: send RFC 3339 such as 2026-11-20T09:00:00Z.") from None
        if moment.tzinfo is None:
            raise ma.ValidationError("The offset is missing: end the time with Z or, say, +01:00.")
        return self._within_range(moment)

    def _within_range(self, moment: datetime) -> datetime:
        if not EARLIEST <= moment < LATEST:
            raise ma.ValidationError("The time must lie between 1970 and 2199.")
        return moment.astimezone(UTC)


class Bound(Time):
    """A bound of a filter: a time, or a date, which means that whole day in the caller's time zone.

    ``end`` is for upper bounds: a date then stands for the midnight that ends the day. ``open`` is
    for lower bounds that are not part of the range: the day itself still is.
    """

    def __init__(self, *, end: bool = False, open: bool = False, **kwargs: Any) -> None:  # noqa: A002
        super().__init__(**kwargs)
        self.end, self.open = end, open

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str) or not PLAIN_DATE.fullmatch(value):
            return super()._deserialize(value, attr, data, **kwargs)
        try:
            # RFC 3339 has a year 0, Python has not; as a bound any early leap year does as well.
            day = datetime.fromisoformat(value.replace("0000-", "0004-")) + timedelta(days=int(self.end))
            day -= timedelta(microseconds=int(self.open))
        except OverflowError:
            return LATEST
        except ValueError:
            raise ma.ValidationError("There is no such day.") from None
        # Where midnight falls into a gap, this is the moment at which the day begins.
        midnight = day.replace(tzinfo=ZoneInfo(current_actor().timezone))
        return self._within_range(midnight)

    def _within_range(self, moment: datetime) -> datetime:
        # Nothing happens outside of the range, so that its ends do as well.
        return min(max(moment, EARLIEST), LATEST).astimezone(UTC)


def has_control_characters(text: str, *, allowed: str = "") -> bool:
    return any(letter not in allowed for letter in CONTROL_CHARACTER.findall(text))


class _Length(validate.Length):
    """Blanks around a text do not make it long enough, but they may make it too long."""

    def __call__(self, value: Any) -> Any:
        super().__call__(value.strip())
        return super().__call__(value)


class Text(fields.String):
    """Text whose length is counted without surrounding blanks; optional control characters refused."""

    def __init__(self, *, minimum: int = 0, maximum: int, single_line: bool = True, **kwargs: Any) -> None:
        super().__init__(validate=_Length(min=minimum, max=maximum), **kwargs)
        self.single_line = single_line

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        assert text is not None
        if has_control_characters(text, allowed="" if self.single_line else "\n\r\t"):
            raise ma.ValidationError("Control characters are not allowed here.")
        return text.strip() if self.single_line else text


class Word(fields.String):
    """One of a few words, read in any case."""

    def __init__(self, words: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(validate=validate.OneOf(words), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        assert text is not None
        return text.strip().lower()


class AnyCase(fields.String):
    """A word of which there is no list, read in any case."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return (super()._deserialize(value, attr, data, **kwargs) or "").lower()


class AnyCaseText(AnyCase, Text):
    """A text that is a word, read in any case."""


class WholeNumber(fields.Integer):
    """A whole number in a body; 5.5, true and "5" are refused."""

    def __init__(self, *, minimum: int, maximum: int, **kwargs: Any) -> None:
        super().__init__(validate=validate.Range(min=minimum, max=maximum), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid")
        return value


class Number(fields.Float):
    """A number in a body; true and "5" are refused."""

    def __init__(self, *, minimum: float, maximum: float, **kwargs: Any) -> None:
        super().__init__(validate=validate.Range(min=minimum, max=maximum), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **kwargs)


class QueryNumber(WholeNumber):
    """A whole number in a query string, as decimal digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", str(value)):
            raise self.make_error("invalid")
        return int(value)


class Flag(fields.Boolean):
    """true or false; in a query string as words in any case."""

    truthy = {True, "true", "1"}
    falsy = {False, "false", "0"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        text = value.lower() if isinstance(value, str) else value
        return super()._deserialize(text, attr, data, **kwargs)


class Seconds(fields.Field[float]):
    """A duration: a number of seconds, or ISO 8601 such as PT15M; dumped as seconds."""

    def __init__(self, *, minimum: float, maximum: float, **kwargs: Any) -> None:
        super().__init__(validate=validate.Range(min=minimum, max=maximum), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if isinstance(value, str):
            return parse_duration(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ma.ValidationError("Not a duration: send seconds (a number) or ISO 8601 such as PT15M.")
        return value


def parse_duration(text: str) -> float:
    """Seconds of an ISO 8601 duration of weeks, days, hours, minutes and seconds.

    Raises:
        ValidationError: it is not one, or it has years or months, whose length varies.
    """
    match = re.fullmatch(
        r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,7})H)?(?:(\d{1,8})M)?(?:(\d{1,9}(?:\.\d{1,6})?)S)?)?",
        text.strip().upper(),
    )
    if match is None or not any(match.groups()):
        if re.match(r"P[^T]*[YM]", text.strip().upper()):
            raise ma.ValidationError("Years and months vary in length: use days, or a cron line.")
        raise ma.ValidationError("Not a duration: send seconds (a number) or ISO 8601 such as PT15M.")
    weeks, days, hours, minutes, seconds = (float(group or 0) for group in match.groups())
    return ((weeks * 7 + days) * 24 + hours) * 3600 + minutes * 60 + seconds


@cache
def _known_zones() -> frozenset[str]:
    # Found by walking through directories of the disk, which takes longer than the rest of a request.
    return frozenset(available_timezones())


class TimeZone(fields.String):
    """The IANA name of a time zone, such as Europe/Paris."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        name = super()._deserialize(value, attr, data, **kwargs)
        assert name is not None
        zones = _known_zones()
        if name in zones:
            return ZoneInfo(name).key
        close = get_close_matches(name, zones, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ma.ValidationError(f"Not an IANA time zone such as Europe/Paris.{hint}")
