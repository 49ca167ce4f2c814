"""Accounts on the wire."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from taskapi.accounts.passwords import MAX_LENGTH
from taskapi.core.mail_kinds import MAIL_KINDS
from taskapi.core.schemas import Schema, Text, Time, TimeZone


class UserSchema(Schema):
    """A user, as they see themselves and as admins see them; never a password or hash."""

    tagged = True

    id = fields.UUID(required=True)
    email = fields.Email(required=True)
    username = fields.String(required=True)
    full_name = fields.String(required=True, allow_none=True)
    avatar_url = fields.Url(required=True, allow_none=True)
    role = fields.String(required=True, validate=validate.OneOf(["user", "admin"]))
    is_active = fields.Boolean(required=True)
    email_verified = fields.Boolean(required=True)
    timezone = fields.String(required=True)
    created_at = Time(required=True)


EmailPreferencesSchema = Schema.from_dict(
    {kind: fields.Boolean(truthy={True}, falsy={False}) for kind in MAIL_KINDS}, name="EmailPreferences"
)


class NotificationPreferencesSchema(Schema):
    """Which messages come by e-mail; what is not named is sent."""

    email = fields.Nested(EmailPreferencesSchema)


class ProfileSchema(UserSchema):
    """One's own account."""

    notification_preferences = fields.Nested(NotificationPreferencesSchema, required=True)
    version = fields.Integer(required=True)


class ProfileChangeSchema(Schema):
    """The fields of one's profile that one may change; those left out stay."""

    full_name = Text(maximum=200, allow_none=True)
    avatar_url = fields.Url(schemes={"http", "https"}, validate=validate.Length(max=500), allow_none=True)
    timezone = TimeZone()
    notification_preferences = fields.Nested(NotificationPreferencesSchema)


class RegistrationSchema(Schema):
    """A request for an account."""

    email = fields.String(required=True, validate=validate.Length(max=254))
    username = fields.String(validate=validate.Length(max=50))
    password = fields.String(required=True, load_only=True)
    full_name = Text(maximum=200)
    timezone = TimeZone()


class LoginSchema(Schema):
    """A name (e-mail address or username, in either field) and the password."""

    exactly_one_of = ("email", "username")

    email = fields.String(validate=validate.Length(max=254))
    username = fields.String(validate=validate.Length(max=254))
    password = fields.String(required=True, load_only=True, validate=validate.Length(max=MAX_LENGTH * 8))

    @ma.validates_schema
    def _exactly_one_name(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if ("email" in data) == ("username" in data):
            raise ma.ValidationError("Send either email or username.", "email")

    @ma.post_load
    def _as_login(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, str]:
        return {"login": data.get("email") or data.get("username") or "", "password": data["password"]}


class TokenPairSchema(Schema):
    """An access token for requests and a refresh token for the next pair."""

    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)
    token_type = fields.String(required=True, validate=validate.Equal("bearer"))
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds"})
    user = fields.Nested(UserSchema, required=True)
