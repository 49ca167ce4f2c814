"""Calendar feeds on the wire."""

from marshmallow import fields

from taskapi.calendar.entries import KINDS
from taskapi.core.schemas import Schema, Text, Time, Word


class NewCalendarFeedSchema(Schema):
    """A request for an address for a calendar program."""

    name = Text(
        minimum=1,
        maximum=100,
        required=True,
        metadata={"description": "What the calendar is called", "example": "Work"},
    )


class CalendarFeedSchema(Schema):
    """A calendar feed, without its address."""

    tagged = True

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    created_at = Time(required=True)
    last_used_at = Time(required=True, allow_none=True, metadata={"description": "To the hour"})


class CreatedCalendarFeedSchema(CalendarFeedSchema):
    """A new calendar feed with its address, which is shown this once: who knows it reads the calendar."""

    confidential = True

    url = fields.Url(require_tld=False, required=True)


class CalendarQuery(Schema):
    """What a calendar program can show."""

    kind = Word(
        KINDS,
        data_key="as",
        load_default="vevent",
        metadata={"description": "Events, with next fire times; or to-dos, which are tasks alone"},
    )
