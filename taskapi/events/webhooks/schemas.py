"""Webhooks and their deliveries on the wire."""

import binascii
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from taskapi.clients.addresses import MAX_URL_LENGTH
from taskapi.clients.standard_webhooks import ENCODED_SECRET, signing_key
from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import WITHOUT_NUL, AnyCase, Bound, Flag, Schema, Seconds, Text, Time, Word
from taskapi.events.webhooks.models import HIDDEN, STATUSES
from taskapi.events.webhooks.outcomes import REASONS
from taskapi.events.webhooks.patterns import check_pattern
from taskapi.events.webhooks.queries import DeliveryFilters

# What may have been meant is looked for so often at most: whoever sends them chooses how many there are.
MAX_ERRORS = 20
LONGEST_ROTATION_SECONDS = 7 * 86_400.0
SECRET_TEXT = {
    "description": "Signs each call as Standard Webhooks says; whsec_ and base64, or any text",
    "format": "password",
    "writeOnly": True,
}


class Patterns(fields.List[str]):
    """Patterns of event types, read in any case; each counts once."""

    def __init__(self, **kwargs: Any) -> None:
        example = {"description": "`*`, `task.*` or `task.created`", "example": ["task.*"]}
        pattern = fields.String(validate=validate.Length(min=1, max=80))
        super().__init__(pattern, validate=validate.Length(min=1), metadata=example, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        sent = super()._deserialize(value, attr, data, **kwargs)
        patterns = [str(text).strip().lower() for text in sent]
        unique, errors = list(dict.fromkeys(patterns)), dict[int, Any]()
        for pattern in unique:
            try:
                check_pattern(pattern)
            except ma.ValidationError as error:
                errors[patterns.index(pattern)] = error.messages
            if len(errors) == MAX_ERRORS:
                break
        if errors:
            raise ma.ValidationError(errors)
        return unique


def _check_secret(secret: str) -> None:
    if secret == HIDDEN:
        raise ma.ValidationError(f"Send the secret: {HIDDEN} only stands for one.")
    try:
        signing_key(secret)
    except binascii.Error:
        raise ma.ValidationError(f"What follows {ENCODED_SECRET} must be base64.") from None


def _secret() -> fields.String:
    return fields.String(validate=[validate.Length(min=1, max=500), _check_secret], metadata=SECRET_TEXT)


class WebhookChangesSchema(Schema):
    """The fields to change; what is not sent stays."""

    url = Text(minimum=1, maximum=MAX_URL_LENGTH, metadata={"format": "uri"})
    events = Patterns()
    description = Text(maximum=200)
    is_active = Flag(
        metadata={"description": "false: nothing is sent, and of what happens meanwhile nothing is told"}
    )
    secret = fields.String(
        validate=[validate.Length(min=1, max=500)],
        metadata={
            **SECRET_TEXT,
            "description": f"Takes the place of the present one at once; {HIDDEN} keeps that",
        },
    )

    @ma.validates("secret")
    def _is_a_key(self, secret: str, **_kwargs: object) -> None:
        if secret != HIDDEN:
            _check_secret(secret)


class NewWebhookSchema(Schema):
    """Where to send which events."""

    url = Text(minimum=1, maximum=MAX_URL_LENGTH, required=True, metadata={"format": "uri"})
    events = Patterns(required=True)
    description = Text(maximum=200, load_default="")
    secret = _secret()


class RotationSchema(Schema):
    """Another secret, and for how long the present one signs too."""

    may_be_left_out = True

    secret = _secret()
    keep_for = Seconds(
        minimum=0,
        maximum=LONGEST_ROTATION_SECONDS,
        metadata={"description": "A day if it is not sent; 0 ends the present secret at once"},
    )


class WebhookSchema(Schema):
    """A subscription to events."""

    tagged = True

    id = fields.UUID(required=True)
    url = fields.String(required=True)
    events = fields.List(fields.String(), required=True)
    description = fields.String(required=True)
    secret = fields.String(required=True, attribute="shown_secret", metadata={"description": f"{HIDDEN}"})
    previous_secret_until = Time(
        required=True, allow_none=True, metadata={"description": "Until then the one before signs too"}
    )
    is_active = fields.Boolean(required=True)
    disabled_at = Time(
        required=True, allow_none=True, metadata={"description": "When the service switched it off"}
    )
    disabled_reason = fields.String(required=True, allow_none=True, validate=validate.OneOf([*REASONS, None]))
    version = fields.Integer(required=True)
    created_at = Time(required=True)
    updated_at = Time(required=True)


class WebhookWithSecretSchema(WebhookSchema):
    """A subscription with its secret, which is shown this once."""

    confidential = True

    secret = fields.String(required=True, attribute="shown_secret")


class WebhookQuery(PageQuery):
    """Pages of one's webhooks, newest first."""

    sort = sort_field("created_at")


class DeliveryErrorSchema(Schema):
    """Why an attempt failed."""

    code = fields.String(required=True)
    message = fields.String(required=True)


class ReceivedSchema(Schema):
    """What the receiver answered: some of its headers, and the first 4,096 bytes of the body."""

    status = fields.Integer(required=True)
    headers = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    body = fields.String(required=True)


class AttemptSchema(Schema):
    """One call, and what came back."""

    at = fields.String(required=True, metadata={"format": "date-time"})
    url = fields.String(required=True)
    headers = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    response = fields.Nested(ReceivedSchema, required=True, allow_none=True)
    duration_ms = fields.Integer(required=True)
    error = fields.Nested(DeliveryErrorSchema, required=True, allow_none=True)


class DeliverySchema(Schema):
    """A message to a webhook, and how the last attempt to send it went."""

    id = fields.UUID(required=True)
    webhook_id = fields.UUID(required=True)
    message_id = fields.UUID(
        required=True, metadata={"description": "`webhook-id`: the event's id, the same in every attempt"}
    )
    type = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    attempt_count = fields.Integer(required=True)
    last_attempt_at = Time(required=True, allow_none=True)
    next_attempt_at = Time(required=True, allow_none=True)
    response_status = fields.Integer(required=True, allow_none=True)
    duration_ms = fields.Integer(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True, metadata={"description": "A stable word"})
    created_at = Time(required=True)


class RequestSchema(Schema):
    """What is sent, but for the headers of the signature, which each attempt has of its own."""

    method = fields.String(required=True)
    url = fields.String(required=True)
    headers = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    body = fields.String(required=True, metadata={"description": "Character by character as it is signed"})


class DeliveryDetailSchema(DeliverySchema):
    """A message to a webhook with its request and the newest 100 attempts."""

    tagged = True

    request = fields.Nested(RequestSchema, required=True)
    attempts = fields.List(fields.Nested(AttemptSchema), required=True)


class DeliveryQuery(PageQuery):
    """Filters of a webhook's deliveries, newest first."""

    status = fields.List(Word(STATUSES), load_default=list)
    type = fields.List(AnyCase(validate=validate.Length(max=80), metadata=WITHOUT_NUL), load_default=list)
    created_after = Bound()
    created_before = Bound(end=True)
    sort = sort_field("created_at")

    @ma.post_load
    def _gather_filters(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        names = ("status", "type", "created_after", "created_before")
        filters = {name: data.pop(name) for name in names if name in data}
        return {**data, "filters": DeliveryFilters(**filters)}


class RedeliverySchema(Schema):
    """A range of deliveries to make once more, by when they were first to be made."""

    from_at = Bound(required=True, data_key="from", metadata={"description": "The first moment of the range"})
    to_at = Bound(
        required=True, end=True, data_key="to", metadata={"description": "The end, not part of the range"}
    )
    status = Word(("succeeded", "failed"), metadata={"description": "Only those; both if it is not sent"})


class RedeliveredSchema(Schema):
    """How many deliveries are made once more."""

    count = fields.Integer(required=True)
