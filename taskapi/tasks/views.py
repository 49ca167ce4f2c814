"""Endpoints of tasks."""

from typing import Any
from uuid import UUID

from flask import Response

from taskapi.core.access import AdminOnly, current_actor
from taskapi.core.blueprint import Blueprint, json_answer
from taskapi.core.db import transaction
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.core.preparing import prepares
from taskapi.core.reading import Written
from taskapi.tasks import bulk, service
from taskapi.tasks.errors import ExternalIdTaken, TaskForbidden, TaskNotDeleted
from taskapi.tasks.fields import external_id_in
from taskapi.tasks.schemas import (
    BulkQuery,
    BulkResultSchema,
    BulkSchema,
    CreatedTasksSchema,
    NewTaskSchema,
    TaskChangesSchema,
    TaskDetailSchema,
    TaskQuery,
    TaskSchema,
)
from taskapi.tasks.weather import Found, weather_of_body

blp = Blueprint("tasks", __name__, url_prefix="/api", description="Tasks")


@blp.route("/tasks", methods=["POST"])
@blp.requires("write")
@prepares(weather_of_body)
@blp.arguments(NewTaskSchema)
@blp.problems(ExternalIdTaken)
@blp.response(201, TaskDetailSchema)
def create_task(data: dict[str, Any], *, prepared: Found) -> Written:
    """Make a task"""
    with transaction():
        return service.create_task(actor=current_actor(), weather=prepared, **data)


@blp.route("/tasks/bulk", methods=["POST"])
@blp.requires("write")
@blp.arguments(BulkQuery, location="query")
@blp.arguments(BulkSchema)
@blp.problems(ExternalIdTaken)
@blp.response(201, CreatedTasksSchema, location="/api/tasks")
@blp.alt_response(200, schema=BulkResultSchema, description="With `partial=true`: what became of each")
def create_tasks(query: dict[str, Any], data: dict[str, Any]) -> dict[str, Any] | Response:
    """Make up to 1,000 tasks: all of them, or with `partial=true` those that are right"""
    with transaction():
        if query["partial_"]:
            return json_answer(BulkResultSchema, bulk.create_what_is_right(actor=current_actor(), **data))
        return bulk.create_all(actor=current_actor(), **data)


@blp.route("/tasks", methods=["GET"])
@blp.requires("read")
@blp.kept_for_a_while
@blp.ages_by("overdue")
@blp.arguments(TaskQuery, location="query")
@blp.problems(AdminOnly)
@blp.response(200, page_schema(TaskSchema))
def list_tasks(query: dict[str, Any]) -> Page[str]:
    """The tasks one made or is to do; an admin sees all"""
    return service.list_tasks(actor=current_actor(), **query)


@blp.route("/tasks/<uuid:task_id>", methods=["GET"])
@blp.requires("read")
@blp.response(200, TaskDetailSchema)
def get_task(task_id: UUID) -> Written:
    """A task with its comments and files"""
    return service.get_task(actor=current_actor(), task_id=task_id)


@blp.route("/tasks/<uuid:task_id>", methods=["PUT", "PATCH"])
@blp.requires("write")
@blp.conditional
@prepares(weather_of_body)
@blp.arguments(TaskChangesSchema)
@blp.problems(TaskForbidden, ExternalIdTaken)
@blp.response(200, TaskDetailSchema)
def update_task(data: dict[str, Any], task_id: UUID, *, condition: Precondition, prepared: Found) -> Written:
    """Change the fields that are sent"""
    with transaction():
        return service.update_task(
            actor=current_actor(), task_id=task_id, changes=data, condition=condition, weather=prepared
        )


@blp.route("/tasks/<uuid:task_id>", methods=["DELETE"])
@blp.requires("write")
@blp.conditional
@blp.problems(TaskForbidden)
@blp.response(204)
def delete_task(task_id: UUID, *, condition: Precondition) -> None:
    """Delete a task, which its creator may; it can be restored"""
    with transaction():
        service.delete_task(actor=current_actor(), task_id=task_id, condition=condition)


@blp.route("/tasks/<uuid:task_id>/restore", methods=["POST"])
@blp.requires("write")
@blp.conditional
@blp.problems(TaskForbidden, TaskNotDeleted, ExternalIdTaken)
@blp.response(200, TaskDetailSchema)
def restore_task(task_id: UUID, *, condition: Precondition) -> Written:
    """Bring a deleted task back"""
    with transaction():
        return service.restore_task(actor=current_actor(), task_id=task_id, condition=condition)


@blp.route("/tasks/by-external-id/<path:external_id>", methods=["PUT"])
@blp.requires("write")
@blp.conditional
@prepares(weather_of_body)
@blp.arguments(TaskChangesSchema)
@blp.problems(ExternalIdTaken)
@blp.response(201, TaskDetailSchema, location="/api/tasks/{0.id}")
@blp.alt_response(200, schema=TaskDetailSchema, description="One's task of this outside id was changed")
def put_task_by_external_id(
    data: dict[str, Any], external_id: str, *, condition: Precondition, prepared: Found
) -> Written | Response:
    """Make one's task of this outside id, or change it"""
    with transaction():
        task, is_new = service.put_by_external_id(
            actor=current_actor(),
            external_id=external_id_in(external_id),
            changes=data,
            condition=condition,
            weather=prepared,
        )
    return task if is_new else json_answer(TaskDetailSchema, task)
