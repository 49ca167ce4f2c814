"""Endpoints of everybody's tasks, for administrators."""

from typing import Any
from uuid import UUID

from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.tasks import service
from taskapi.tasks.schemas import TaskQuery, TaskSchema

blp = Blueprint("admin_tasks", __name__, url_prefix="/api/admin", description="Administration: tasks")


@blp.route("/tasks", methods=["GET"])
@blp.requires("admin")
@blp.arguments(TaskQuery, location="query")
@blp.response(200, page_schema(TaskSchema))
def list_tasks(query: dict[str, Any]) -> Page[str]:
    """Everybody's tasks, or with `deleted=true` those that were deleted"""
    return service.list_tasks(actor=current_actor(), **query)


@blp.route("/tasks/<uuid:task_id>", methods=["DELETE"])
@blp.requires("admin")
@blp.conditional
@blp.response(204)
def delete_task(task_id: UUID, *, condition: Precondition) -> None:
    """Delete anybody's task; it can be restored"""
    with transaction():
        service.delete_task(actor=current_actor(), task_id=task_id, condition=condition)
