"""Endpoints of the comments of a task."""

from typing import Any
from uuid import UUID

from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.tasks import commenting
from taskapi.tasks.comment_schemas import CommentChangesSchema, CommentQuery, NewCommentSchema
from taskapi.tasks.errors import CommentForbidden
from taskapi.tasks.schemas import CommentSchema
from taskapi.tasks.shown import ShownComment

blp = Blueprint("comments", __name__, url_prefix="/api/tasks/<uuid:task_id>/comments", description="Comments")


@blp.route("", methods=["POST"])
@blp.requires("write")
@blp.arguments(NewCommentSchema)
@blp.response(201, CommentSchema)
def create_comment(data: dict[str, Any], task_id: UUID) -> ShownComment:
    """Comment on a task

    Each `@username` is told, if they may see the task.
    """
    with transaction():
        return commenting.create_comment(actor=current_actor(), task_id=task_id, **data)


@blp.route("", methods=["GET"])
@blp.requires("read")
@blp.arguments(CommentQuery, location="query")
@blp.response(200, page_schema(CommentSchema))
def list_comments(query: dict[str, Any], task_id: UUID) -> Page[ShownComment]:
    """The comments of a task, oldest first"""
    return commenting.list_comments(actor=current_actor(), task_id=task_id, **query)


@blp.route("/<uuid:comment_id>", methods=["GET"])
@blp.requires("read")
@blp.response(200, CommentSchema)
def get_comment(task_id: UUID, comment_id: UUID) -> ShownComment:
    """A comment"""
    return commenting.get_comment(actor=current_actor(), task_id=task_id, comment_id=comment_id)


@blp.route("/<uuid:comment_id>", methods=["PUT", "PATCH"])
@blp.requires("write")
@blp.conditional
@blp.arguments(CommentChangesSchema)
@blp.problems(CommentForbidden)
@blp.response(200, CommentSchema)
def update_comment(
    data: dict[str, Any], task_id: UUID, comment_id: UUID, *, condition: Precondition
) -> ShownComment:
    """Edit one's comment"""
    with transaction():
        return commenting.update_comment(
            actor=current_actor(), task_id=task_id, comment_id=comment_id, condition=condition, **data
        )


@blp.route("/<uuid:comment_id>", methods=["DELETE"])
@blp.requires("write")
@blp.conditional
@blp.problems(CommentForbidden)
@blp.response(204)
def delete_comment(task_id: UUID, comment_id: UUID, *, condition: Precondition) -> None:
    """Delete one's comment; an administrator deletes any"""
    with transaction():
        commenting.delete_comment(
            actor=current_actor(), task_id=task_id, comment_id=comment_id, condition=condition
        )
