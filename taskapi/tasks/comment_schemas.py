"""Comments in requests."""

from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import Schema
from taskapi.tasks.markdown import Markdown

CONTENT = {"description": "Markdown of 64 KiB at most; @username tells a person. Raw HTML is shown as text"}


class NewCommentSchema(Schema):
    """What to say."""

    content = Markdown(required=True, metadata=CONTENT)


class CommentChangesSchema(Schema):
    """What to say instead."""

    content = Markdown(metadata=CONTENT)


class CommentQuery(PageQuery):
    """Order of the list of comments."""

    sort = sort_field("created_at")
