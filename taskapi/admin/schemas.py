"""What administrators send and are answered."""

from marshmallow import fields, validate

from taskapi.accounts.schemas import DirectoryEntrySchema, RegistrationSchema, UserSchema
from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import Bound, Flag, Schema, Text, Time, TimeZone, Word

ROLES = ("user", "admin")
OUTCOMES = ("deleted", "handed_over", "cancelled", "unassigned", "anonymised", "kept")


class HoldingsSchema(Schema):
    """How much somebody has."""

    tasks = fields.Integer(required=True, metadata={"description": "That they made and did not delete"})
    schedules = fields.Integer(required=True, metadata={"description": "That are active or paused"})
    files = fields.Integer(required=True)
    storage_bytes = fields.Integer(required=True)


class ManagedUserSchema(UserSchema):
    """A user as administrators see them; never a password or hash."""

    last_sign_in_at = Time(
        required=True,
        allow_none=True,
        metadata={"description": "null if it was never, or so long ago that the session is forgotten"},
    )
    closed_at = Time(required=True, allow_none=True)
    counts = fields.Nested(HoldingsSchema, required=True)
    version = fields.Integer(required=True)


class UserQuery(PageQuery):
    """Filters and order of the list of users."""

    role = fields.List(Word(ROLES))
    is_active = Flag()
    closed = Flag(load_default=False, metadata={"description": "Closed accounts instead of the others"})
    q = Text(
        minimum=1,
        maximum=100,
        metadata={"description": "Part of the e-mail address, username or full name, in any case"},
    )
    created_before = Bound(end=True)
    created_after = Bound()
    sort = sort_field("created_at", "email", "username", "role")


class NewUserSchema(RegistrationSchema):
    """A user to make."""

    password = fields.String(
        load_only=True,
        metadata={"description": "Left out, the person is mailed a link to choose one, which is better"},
    )
    role = Word(ROLES)
    is_active = Flag()


class UserChangesSchema(Schema):
    """The fields to change; what is not sent stays."""

    role = Word(ROLES)
    is_active = Flag()
    full_name = Text(maximum=200, allow_none=True)
    timezone = TimeZone()
    email_verified = Flag()


class DeletionQuery(Schema):
    """Who gets what a deleted user had."""

    reassign_to = Text(
        minimum=1,
        maximum=254,
        metadata={
            "description": "Id, e-mail address or username of who gets their tasks, files, tags and"
            " schedules; left out, these go"
        },
    )


class FateSchema(Schema):
    """What becomes of one sort of things."""

    thing = fields.String(required=True, metadata={"example": "tasks"})
    outcome = fields.String(required=True, validate=validate.OneOf(OUTCOMES))
    count = fields.Integer(required=True)
    bytes = fields.Integer(required=True, allow_none=True, metadata={"description": "In the store"})


class DeletionSchema(Schema):
    """What becomes of a user's things; those of which there are none are not named."""

    id = fields.UUID(required=True)
    username = fields.String(required=True)
    reassign_to = fields.Nested(DirectoryEntrySchema, required=True, allow_none=True)
    things = fields.List(fields.Nested(FateSchema), required=True)
