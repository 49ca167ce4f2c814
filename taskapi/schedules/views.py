"""Endpoints of actions and schedules."""

from typing import Any
from uuid import UUID

from taskapi.core.access import AdminOnly, current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, PageQuery, page_of_list, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.schedules import control, editing, preview, service, skipping
from taskapi.schedules.actions.base import Action
from taskapi.schedules.control_schemas import RunNowSchema, ScheduleChangesSchema, SkipSchema
from taskapi.schedules.errors import (
    OwnerInactive,
    ScheduleBusy,
    ScheduleCancelled,
    ScheduleCompleted,
    TooManySchedules,
)
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.preview import FireTime
from taskapi.schedules.run_schemas import RunSchema
from taskapi.schedules.schemas import (
    ActionSchema,
    FireTimeSchema,
    NewScheduleSchema,
    PreviewQuery,
    PreviewSchema,
    ScheduleQuery,
    ScheduleSchema,
)

blp = Blueprint("schedules", __name__, url_prefix="/api", description="Automation: actions and schedules")


@blp.route("/actions", methods=["GET"])
@blp.requires("read")
@blp.arguments(PageQuery, location="query")
@blp.response(200, page_schema(ActionSchema))
def list_actions(query: dict[str, Any]) -> Page[Action]:
    """The actions installed, each with its params as JSON Schema"""
    return service.list_actions(**query)


@blp.route("/schedules", methods=["POST"])
@blp.requires("write")
@blp.arguments(NewScheduleSchema)
@blp.problems(TooManySchedules, AdminOnly)
@blp.response(201, ScheduleSchema)
def create_schedule(data: dict[str, Any]) -> Schedule:
    """Schedule an action, once or repeatedly"""
    with transaction():
        return service.create_schedule(actor=current_actor(), **data)


@blp.route("/schedules", methods=["GET"])
@blp.requires("read")
@blp.arguments(ScheduleQuery, location="query")
@blp.response(200, page_schema(ScheduleSchema))
def list_schedules(query: dict[str, Any]) -> Page[Schedule]:
    """One's schedules; an admin sees all"""
    return service.list_schedules(actor=current_actor(), **query)


@blp.route("/schedules/preview", methods=["POST"])
@blp.requires("read")
@blp.arguments(PreviewSchema)
@blp.response(200, page_schema(FireTimeSchema))
def preview_trigger(data: dict[str, Any]) -> Page[FireTime]:
    """The next fire times of a trigger, without saving it"""
    return preview.preview_trigger(actor=current_actor(), **data)


@blp.route("/schedules/<uuid:schedule_id>", methods=["GET"])
@blp.requires("read")
@blp.response(200, ScheduleSchema)
def get_schedule(schedule_id: UUID) -> Schedule:
    """One schedule with its last run"""
    return service.get_schedule(actor=current_actor(), schedule_id=schedule_id)


@blp.route("/schedules/<uuid:schedule_id>", methods=["PUT", "PATCH"])
@blp.requires("write")
@blp.conditional
@blp.problems(ScheduleCancelled, ScheduleBusy, TooManySchedules, AdminOnly, OwnerInactive)
@blp.arguments(ScheduleChangesSchema)
@blp.response(200, ScheduleSchema)
def edit_schedule(data: dict[str, Any], schedule_id: UUID, *, condition: Precondition) -> Schedule:
    """Change the fields that are sent; when anything of *when* changes, a new plan begins now"""
    with transaction():
        return editing.edit_schedule(
            actor=current_actor(), schedule_id=schedule_id, condition=condition, **data
        )


@blp.route("/schedules/<uuid:schedule_id>", methods=["DELETE"])
@blp.requires("write")
@blp.conditional
@blp.response(204)
def delete_schedule(schedule_id: UUID, *, condition: Precondition) -> None:
    """Cancel a schedule and take it out of sight; its runs stay in the history"""
    with transaction():
        control.delete_schedule(actor=current_actor(), schedule_id=schedule_id, condition=condition)


@blp.route("/schedules/<uuid:schedule_id>/preview", methods=["GET"])
@blp.requires("read")
@blp.arguments(PreviewQuery, location="query")
@blp.response(200, page_schema(FireTimeSchema))
def preview_schedule(query: dict[str, Any], schedule_id: UUID) -> Page[FireTime]:
    """The next fire times of a schedule"""
    page = query.pop("page")
    found = preview.preview_schedule(actor=current_actor(), schedule_id=schedule_id, **query)
    return page_of_list(found.items, request_=page)


@blp.route("/schedules/<uuid:schedule_id>/pause", methods=["POST"])
@blp.requires("write")
@blp.conditional
@blp.problems(ScheduleCancelled, ScheduleCompleted)
@blp.response(200, ScheduleSchema)
def pause_schedule(schedule_id: UUID, *, condition: Precondition) -> Schedule:
    """Hold a schedule; what falls due meanwhile gets its verdict at resume"""
    with transaction():
        return control.pause_schedule(actor=current_actor(), schedule_id=schedule_id, condition=condition)


@blp.route("/schedules/<uuid:schedule_id>/resume", methods=["POST"])
@blp.requires("write")
@blp.conditional
@blp.problems(ScheduleCancelled, ScheduleCompleted, OwnerInactive)
@blp.response(200, ScheduleSchema)
def resume_schedule(schedule_id: UUID, *, condition: Precondition) -> Schedule:
    """Let a paused schedule go on; due times of the pause fall under catch_up"""
    with transaction():
        return control.resume_schedule(actor=current_actor(), schedule_id=schedule_id, condition=condition)


@blp.route("/schedules/<uuid:schedule_id>/cancel", methods=["POST"])
@blp.requires("write")
@blp.conditional
@blp.response(200, ScheduleSchema)
def cancel_schedule(schedule_id: UUID, *, condition: Precondition) -> Schedule:
    """End a schedule for good"""
    with transaction():
        return control.cancel_schedule(actor=current_actor(), schedule_id=schedule_id, condition=condition)


@blp.route("/schedules/<uuid:schedule_id>/skip", methods=["POST"])
@blp.requires("write")
@blp.conditional
@blp.problems(ScheduleCancelled, ScheduleCompleted)
@blp.arguments(SkipSchema)
@blp.response(200, ScheduleSchema)
def skip_due_time(data: dict[str, Any], schedule_id: UUID, *, condition: Precondition) -> Schedule:
    """Leave out one due time to come: it is a skipped run from now on"""
    with transaction():
        return skipping.skip_due_time(
            actor=current_actor(), schedule_id=schedule_id, condition=condition, **data
        )


@blp.route("/schedules/<uuid:schedule_id>/run", methods=["POST"])
@blp.requires("write")
@blp.problems(ScheduleCancelled, AdminOnly, OwnerInactive)
@blp.arguments(RunNowSchema, required=False)
@blp.response(202, RunSchema, location="/api/runs/{0.id}")
def run_now(data: dict[str, Any], schedule_id: UUID) -> Run:
    """Run once now, beside the due times, with other params if they are sent"""
    with transaction():
        return control.run_now(actor=current_actor(), schedule_id=schedule_id, **data)
