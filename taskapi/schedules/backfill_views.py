"""Endpoints of backfills."""

from typing import Any
from uuid import UUID

from flask import Response

from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint, json_answer
from taskapi.core.db import transaction
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.schedules import backfills
from taskapi.schedules.bookkeeping import Backfill
from taskapi.schedules.control_schemas import (
    BackfillQuery,
    BackfillSchema,
    EstimateSchema,
    NewBackfillSchema,
)
from taskapi.schedules.errors import BackfillFinished, OwnerInactive, ScheduleCancelled

blp = Blueprint(
    "backfills", __name__, url_prefix="/api", description="Automation: running the past after all"
)
PLACE = "/api/schedules/{0.schedule_id}/backfills/{0.id}"


@blp.route("/schedules/<uuid:schedule_id>/backfill", methods=["POST"])
@blp.requires("write")
@blp.problems(ScheduleCancelled, OwnerInactive)
@blp.arguments(NewBackfillSchema)
@blp.response(202, BackfillSchema, location=PLACE)
@blp.alt_response(200, schema=EstimateSchema, description="The dry run: what would be done")
def start_backfill(data: dict[str, Any], schedule_id: UUID) -> Backfill | Response:
    """Run the due times of a past range that had no run or were skipped"""
    if data.pop("dry_run"):
        found = backfills.estimate_backfill(actor=current_actor(), schedule_id=schedule_id, **data)
        return json_answer(EstimateSchema, found)
    with transaction():
        return backfills.start_backfill(actor=current_actor(), schedule_id=schedule_id, **data)


@blp.route("/schedules/<uuid:schedule_id>/backfills", methods=["GET"])
@blp.requires("read")
@blp.arguments(BackfillQuery, location="query")
@blp.response(200, page_schema(BackfillSchema))
def list_backfills(query: dict[str, Any], schedule_id: UUID) -> Page[Backfill]:
    """The backfills of a schedule, newest first"""
    return backfills.list_backfills(actor=current_actor(), schedule_id=schedule_id, **query)


@blp.route("/schedules/<uuid:schedule_id>/backfills/<uuid:backfill_id>", methods=["GET"])
@blp.requires("read")
@blp.response(200, BackfillSchema)
def get_backfill(schedule_id: UUID, backfill_id: UUID) -> Backfill:
    """How far a backfill is"""
    return backfills.get_backfill(actor=current_actor(), schedule_id=schedule_id, backfill_id=backfill_id)


@blp.route("/schedules/<uuid:schedule_id>/backfills/<uuid:backfill_id>/cancel", methods=["POST"])
@blp.requires("write")
@blp.conditional
@blp.problems(BackfillFinished)
@blp.response(200, BackfillSchema)
def cancel_backfill(schedule_id: UUID, backfill_id: UUID, *, condition: Precondition) -> Backfill:
    """End a backfill; those of its runs that have not started are cancelled"""
    with transaction():
        return backfills.cancel_backfill(
            actor=current_actor(), schedule_id=schedule_id, backfill_id=backfill_id, condition=condition
        )
