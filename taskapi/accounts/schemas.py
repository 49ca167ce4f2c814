"""Accounts on the wire."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from taskapi.accounts.passwords import MAX_TYPED
from taskapi.core.mail_kinds import MAIL_KINDS
from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.profile import section_schema
from taskapi.core.schemas import Schema, Text, Time, TimeZone, Word

SCOPES = ("read", "write", "admin")
CODE_LENGTH = validate.Length(max=64)
CODE = "The second factor, asked for only if the account has one: six digits of the app, or a recovery code"


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
    """Which messages come by e-mail; what is not named is sent, except for ``comment_added``."""

    email = fields.Nested(EmailPreferencesSchema)


class ProfileSchema(UserSchema):
    """One's own account."""

    notification_preferences = fields.Nested(NotificationPreferencesSchema, required=True)
    # The room of files says what it looks like.
    storage = fields.Nested(lambda: section_schema("storage"), required=True)
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
    password = fields.String(required=True, load_only=True, validate=validate.Length(max=MAX_TYPED))
    code = fields.String(load_only=True, validate=CODE_LENGTH, metadata={"description": CODE})

    @ma.validates_schema
    def _exactly_one_name(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if ("email" in data) == ("username" in data):
            raise ma.ValidationError("Send either email or username.", "email")

    @ma.post_load
    def _as_login(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, str | None]:
        login = data.get("email") or data.get("username") or ""
        return {"login": login, "password": data["password"], "code": data.get("code")}


class TokenPairSchema(Schema):
    """An access token for requests and a refresh token for the next pair."""

    confidential = True

    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)
    token_type = fields.String(required=True, validate=validate.Equal("bearer"))
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds"})
    user = fields.Nested(UserSchema, required=True)


class PasswordSchema(Schema):
    """One's own password, asked for again before something important."""

    password = fields.String(required=True, load_only=True, validate=validate.Length(max=MAX_TYPED))


class PasswordChangeSchema(Schema):
    """One's current password and the next."""

    current_password = fields.String(required=True, load_only=True, validate=validate.Length(max=MAX_TYPED))
    new_password = fields.String(required=True, load_only=True)


class ResetRequestSchema(Schema):
    """Whose password is to be reset."""

    email = fields.String(
        required=True,
        validate=validate.Length(max=254),
        metadata={"description": "Of the account; the answer is the same for every address"},
    )


class OneTimeTokenSchema(Schema):
    """The token of a mailed link."""

    token = fields.String(
        required=True,
        load_only=True,
        validate=validate.Length(max=100),
        metadata={"description": "What follows #token= in the link; it works once"},
    )


class PasswordResetSchema(OneTimeTokenSchema):
    """The token of a mailed link and the new password."""

    password = fields.String(required=True, load_only=True)


class AskedSchema(Schema):
    """A mail was asked for; whether one is sent is not told."""

    detail = fields.String(required=True)


class CodeSchema(Schema):
    """The code that shows that the app knows the secret."""

    code = fields.String(
        required=True,
        load_only=True,
        validate=CODE_LENGTH,
        metadata={"description": "The six digits of the app", "example": "492039"},
    )


class PasswordAndCodeSchema(PasswordSchema):
    """One's own password and second factor."""

    code = fields.String(
        required=True,
        load_only=True,
        validate=CODE_LENGTH,
        metadata={"description": "The six digits of the app, or a recovery code"},
    )


class EnrolmentSchema(Schema):
    """What the authenticator app needs; it is shown this once."""

    confidential = True

    secret = fields.String(
        required=True, metadata={"description": "For typing in: base32, SHA-1, 30 s, 6 digits"}
    )
    uri = fields.String(
        required=True, metadata={"description": "The same for a QR code: otpauth://totp/…", "format": "uri"}
    )


class RecoveryCodesSchema(Schema):
    """Codes that sign in without the app, each once; they are shown this once."""

    confidential = True

    recovery_codes = fields.List(
        fields.String(metadata={"example": "7k2mp-q9xdw-4hjtn"}),
        required=True,
        metadata={"description": "Ten; blanks, dashes and case do not matter"},
    )


class SecondFactorStateSchema(Schema):
    """Whether signing in takes a second factor."""

    enabled = fields.Boolean(required=True)
    confirmed_at = Time(required=True, allow_none=True)
    recovery_codes_left = fields.Integer(required=True)


class SessionSchema(Schema):
    """A sign-in on one device, while it lasts."""

    tagged = True

    id = fields.UUID(required=True)
    created_at = Time(required=True)
    last_used_at = Time(
        required=True, metadata={"description": "When it was begun, or last exchanged its refresh token"}
    )
    expires_at = Time(required=True)
    address = fields.String(
        required=True, allow_none=True, metadata={"description": "The IP address it was last used from"}
    )
    user_agent = fields.String(
        required=True, allow_none=True, metadata={"description": "What its program calls itself"}
    )
    current = fields.Boolean(required=True, metadata={"description": "Whether it is the one that asks"})


class NewTokenSchema(Schema):
    """A request for a personal access token."""

    name = Text(minimum=1, maximum=100, required=True)
    scopes = fields.List(
        Word(SCOPES),
        required=True,
        validate=validate.Length(min=1, max=20),
        metadata={"description": "What it may do: exactly these, write does not include read"},
    )
    expires_at = Time(allow_none=True, metadata={"description": "At most ten years ahead; default: never"})


class PersonalTokenSchema(Schema):
    """A personal access token, without its secret."""

    tagged = True

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    scopes = fields.List(fields.String(validate=validate.OneOf(SCOPES)), required=True)
    expires_at = Time(required=True, allow_none=True)
    created_at = Time(required=True)
    last_used_at = Time(required=True, allow_none=True, metadata={"description": "To the minute"})


class CreatedTokenSchema(PersonalTokenSchema):
    """A new personal access token with its secret, which is shown this once."""

    confidential = True

    token = fields.String(
        required=True, metadata={"description": "Send it as Bearer", "pattern": "^tap_[A-Za-z0-9_-]{43}$"}
    )


class DirectoryEntrySchema(Schema):
    """A user as everybody who is signed in may see them."""

    id = fields.UUID(required=True)
    username = fields.String(required=True)
    full_name = fields.String(required=True, allow_none=True)
    avatar_url = fields.Url(required=True, allow_none=True)


class DirectoryQuery(PageQuery):
    """Which users are wanted."""

    q = Text(maximum=100, metadata={"description": "Part of the username or full name, in any case"})
    sort = sort_field("username")
