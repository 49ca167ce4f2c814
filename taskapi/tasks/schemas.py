"""Tasks on the wire."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from taskapi.accounts.schemas import DirectoryEntrySchema
from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import Bound, Flag, Schema, Text, Time, Word
from taskapi.files.schemas import FileSchema
from taskapi.tasks.fields import Color, Day, DueDate, ExternalId, NewStatus, StatusWord
from taskapi.tasks.models import PRIORITIES, STATUSES

MAX_DESCRIPTION = 50_000
MAX_TAGS = 50
MAX_BULK = 1_000


class TagSchema(Schema):
    """A tag."""

    tagged = True

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    color = fields.String(required=True, metadata={"description": "#rrggbb"})


class WeatherSchema(Schema):
    """The weather in a task's city."""

    temperature = fields.Float(required=True, metadata={"description": "°C"})
    condition = fields.String(required=True)


class TaskFieldsSchema(Schema):
    """The fields that people set."""

    title = Text(minimum=1, maximum=200)
    description = Text(maximum=MAX_DESCRIPTION, single_line=False, allow_none=True)
    status = NewStatus()
    priority = Word(PRIORITIES)
    due_date = DueDate(allow_none=True)
    notify_overdue = Flag()
    assignee_id = fields.UUID(allow_none=True)
    external_id = ExternalId(allow_none=True)
    city = Text(minimum=1, maximum=100, allow_none=True)
    tags = fields.List(
        Text(minimum=1, maximum=50),
        validate=validate.Length(max=MAX_TAGS),
        metadata={"description": "Names or ids, which replace the tags it has; an unknown name is created"},
    )

    @ma.post_load
    def _no_description_is_an_empty_one(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        return {**data, "description": data["description"] or ""} if "description" in data else data


class NewTaskSchema(TaskFieldsSchema):
    """A task to make."""

    title = Text(minimum=1, maximum=200, required=True)


class TaskChangesSchema(TaskFieldsSchema):
    """The fields to change; what is not sent stays."""


class BulkSchema(Schema):
    """Tasks to make together."""

    tasks = fields.List(
        fields.Raw(allow_none=True, metadata={"description": "As for `POST /api/tasks`"}),
        required=True,
        validate=validate.Length(min=1, max=MAX_BULK),
    )


class BulkQuery(Schema):
    """Whether those that are right are made although others are not."""

    partial_ = Flag(load_default=False, data_key="partial")


class TaskSchema(Schema):
    """A task as lists show it."""

    tagged = True

    id = fields.UUID(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    priority = fields.String(required=True, validate=validate.OneOf(PRIORITIES))
    due_date = Time(required=True, allow_none=True)
    notify_overdue = fields.Boolean(required=True)
    creator_id = fields.UUID(required=True)
    assignee_id = fields.UUID(required=True, allow_none=True)
    external_id = fields.String(required=True, allow_none=True)
    tags = fields.List(fields.Nested(TagSchema), required=True)
    city = fields.String(required=True, allow_none=True)
    weather = fields.Nested(WeatherSchema, required=True, allow_none=True)
    comment_count = fields.Integer(required=True)
    file_count = fields.Integer(required=True)
    version = fields.Integer(required=True)
    created_at = Time(required=True)
    updated_at = Time(required=True)
    completed_at = Time(required=True, allow_none=True)


class CommentSchema(Schema):
    """A comment."""

    tagged = True

    id = fields.UUID(required=True)
    task_id = fields.UUID(required=True)
    author = fields.Nested(
        DirectoryEntrySchema,
        required=True,
        allow_none=True,
        metadata={"description": "null once the author's account is closed"},
    )
    content = fields.String(required=True, metadata={"description": "Markdown"})
    content_html = fields.String(required=True, metadata={"description": "Rendered, and safe to show"})
    version = fields.Integer(required=True)
    created_at = Time(required=True)
    edited_at = Time(required=True, allow_none=True)


class TaskDetailSchema(TaskSchema):
    """A task with its newest comments, oldest of them first, and its files."""

    comments = fields.List(fields.Nested(CommentSchema), required=True)
    files = fields.List(fields.Nested(FileSchema), required=True)


class CreatedTasksSchema(Schema):
    """The tasks that were made, in the order in which they were sent."""

    items = fields.List(fields.Nested(TaskSchema), required=True)


class BulkItemSchema(Schema):
    """What became of one of the tasks."""

    index = fields.Integer(required=True)
    status = fields.Integer(required=True, metadata={"description": "201, or 422 with ``errors``"})
    task = fields.Nested(TaskSchema, metadata={"description": "If it was made"})
    errors = fields.Dict(
        keys=fields.String(), values=fields.List(fields.String()), metadata={"description": "If it was not"}
    )


class BulkResultSchema(Schema):
    """What became of each of the tasks."""

    items = fields.List(fields.Nested(BulkItemSchema), required=True)


class TaskFilters(Schema):
    """Which tasks are meant; repeat a filter for 'any of'."""

    status = fields.List(StatusWord())
    priority = fields.List(Word(PRIORITIES))
    assignee_id = fields.List(fields.UUID())
    creator_id = fields.List(fields.UUID())
    user_id = fields.List(fields.UUID(), metadata={"description": "Creator or assignee"})
    tag = fields.List(Text(minimum=1, maximum=50), metadata={"description": "Name or id"})
    external_id = fields.List(ExternalId())
    q = Text(
        minimum=1,
        maximum=200,
        metadata={
            "description": "Words that begin words of the title, the description or a comment; all of"
            " them must be there. Case and accents do not matter"
        },
    )
    due_before = Bound(end=True)
    due_after = Bound()
    created_before = Bound(end=True)
    created_after = Bound()
    date = Day(metadata={"description": "Created on this day", "format": "date", "type": "string"})
    overdue = Flag(metadata={"description": "Whether it is open and its due date is past"})


class TaskQuery(PageQuery, TaskFilters):
    """Filters and order of the list of tasks."""

    deleted = Flag(load_default=False, metadata={"description": "Deleted ones, for administrators only"})
    sort = sort_field("created_at", "updated_at", "due_date", "priority", "title", "status")


class TagFieldsSchema(Schema):
    """What a tag is called and looks like."""

    name = Text(minimum=1, maximum=50)
    color = Color(metadata={"description": "#rrggbb; without one, the tag gets one by its name"})
