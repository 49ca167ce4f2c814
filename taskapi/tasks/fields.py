"""Fields of tasks on the wire, as people send them."""

import re
from datetime import datetime, timedelta
from typing import Any

import marshmallow as ma

from taskapi.core.errors import ValidationFailed
from taskapi.core.schemas import EARLIEST, LATEST, PLAIN_DATE, Bound, Text, Time, Word
from taskapi.tasks.models import STATUSES
from taskapi.tasks.queries import Stretch

COLOR = re.compile(r"^#[0-9A-Fa-f]{6}$(?!\n)")


class StatusWord(Word):
    """A status in a filter; ``completed`` means ``done``."""

    def __init__(self, words: tuple[str, ...] = STATUSES, **kwargs: Any) -> None:
        super().__init__((*words, "completed"), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        word = super()._deserialize(value, attr, data, **kwargs)
        return "done" if word == "completed" else word


class NewStatus(StatusWord):
    """A status that people give a task; only the clock makes one overdue."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(tuple(word for word in STATUSES if word != "overdue"), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        word = super()._deserialize(value, attr, data, **kwargs)
        if word == "overdue":
            raise ma.ValidationError("A task becomes overdue by its due_date: send another status.")
        return word


class DueDate(Time):
    """When a task is due: a time, or a date, which means the last second of that day where the caller is."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if isinstance(value, str) and PLAIN_DATE.fullmatch(value):
            if not EARLIEST.year <= int(value[:4]) < LATEST.year:
                raise ma.ValidationError("The time must lie between 1970 and 2199.")
            return Bound(end=True).deserialize(value) - timedelta(seconds=1)
        return super()._deserialize(value, attr, data, **kwargs)


class Day(ma.fields.Field[Stretch]):
    """A date, which means that whole day in the caller's time zone."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Stretch:
        if not isinstance(value, str) or not PLAIN_DATE.fullmatch(value):
            raise ma.ValidationError("Not a date: send one such as 2026-11-20.")
        return Bound().deserialize(value), Bound(end=True).deserialize(value)


class Color(ma.fields.String):
    """A colour as the HTML standard writes a simple one: ``#rrggbb``."""

    def __init__(self, **kwargs: Any) -> None:
        error = "Not a colour: send one such as #2563eb."
        super().__init__(validate=ma.validate.Regexp(COLOR, error=error), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return (super()._deserialize(value, attr, data, **kwargs) or "").lower()


class ExternalId(Text):
    """What a task is called outside."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(minimum=1, maximum=200, **kwargs)


def external_id_in(path: str) -> str:
    """The outside id that is the rest of a path, where a slash at the end means nothing.

    Raises:
        ValidationFailed: no task can have it.
    """
    try:
        return str(ExternalId().deserialize(path.removesuffix("/")))
    except ma.ValidationError as error:
        raise ValidationFailed({"external_id": [str(text) for text in error.messages]}) from None
