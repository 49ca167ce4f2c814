"""Endpoints of everybody's schedules, for administrators."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from taskapi.admin import listing
from taskapi.admin.listing import Owned
from taskapi.admin.work_schemas import OwnedScheduleQuery, OwnedScheduleSchema
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.schedules import control
from taskapi.schedules.schemas import ScheduleSchema

if TYPE_CHECKING:
    from taskapi.schedules.models import Schedule

blp = Blueprint("admin_schedules", __name__, url_prefix="/api/admin", description="Administration: schedules")


@blp.route("/schedules", methods=["GET"])
@blp.requires("admin")
@blp.arguments(OwnedScheduleQuery, location="query")
@blp.response(200, page_schema(OwnedScheduleSchema))
def list_schedules(query: dict[str, Any]) -> "Page[Owned[Schedule]]":
    """Everybody's schedules, with their owners"""
    return listing.list_schedules(actor=current_actor(), **query)


@blp.route("/schedules/<uuid:schedule_id>/cancel", methods=["POST"])
@blp.requires("admin")
@blp.conditional
@blp.response(200, ScheduleSchema)
def cancel_schedule(schedule_id: UUID, *, condition: Precondition) -> "Schedule":
    """End anybody's schedule for good"""
    with transaction():
        return control.cancel_schedule(actor=current_actor(), schedule_id=schedule_id, condition=condition)
