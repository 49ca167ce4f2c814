"""Endpoints of runs."""

from typing import Any
from uuid import UUID

from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.schedules import runs
from taskapi.schedules.bookkeeping import RunLogLine
from taskapi.schedules.control_schemas import RetriedSchema, RetryRunsSchema
from taskapi.schedules.errors import OwnerInactive, RunFinished, RunNotFinished, ScheduleCancelled
from taskapi.schedules.models import Run
from taskapi.schedules.run_schemas import LogLineSchema, LogQuery, RunQuery, RunSchema, RunsOfScheduleQuery
from taskapi.schedules.runs import Retried

blp = Blueprint(
    "runs", __name__, url_prefix="/api", description="Automation: what ran, when, and how it ended"
)


@blp.route("/schedules/<uuid:schedule_id>/runs", methods=["GET"])
@blp.requires("read")
@blp.arguments(RunsOfScheduleQuery, location="query")
@blp.response(200, page_schema(RunSchema))
def list_runs_of_schedule(query: dict[str, Any], schedule_id: UUID) -> Page[Run]:
    """The history of a schedule, newest first"""
    return runs.list_runs_of(actor=current_actor(), schedule_id=schedule_id, **query)


@blp.route("/runs", methods=["GET"])
@blp.requires("read")
@blp.arguments(RunQuery, location="query")
@blp.response(200, page_schema(RunSchema))
def list_runs(query: dict[str, Any]) -> Page[Run]:
    """The history of all one's schedules, newest first

    A range of due times comes by due time. ``total`` is exact up to 10,000; beyond, it is told for
    the filters ``status`` and ``schedule_id`` alone, and else null.
    """
    return runs.list_runs(actor=current_actor(), **query)


@blp.route("/runs/<uuid:run_id>", methods=["GET"])
@blp.requires("read")
@blp.response(200, RunSchema)
def get_run(run_id: UUID) -> Run:
    """One run: when it was due, how late it was, and its outcome"""
    return runs.get_run(actor=current_actor(), run_id=run_id)


@blp.route("/runs/<uuid:run_id>/log", methods=["GET"])
@blp.requires("read")
@blp.arguments(LogQuery, location="query")
@blp.response(200, page_schema(LogLineSchema))
def read_log(query: dict[str, Any], run_id: UUID) -> Page[RunLogLine]:
    """What the action logged, oldest line first"""
    return runs.read_log(actor=current_actor(), run_id=run_id, **query)


@blp.route("/runs/<uuid:run_id>/cancel", methods=["POST"])
@blp.requires("write")
@blp.conditional
@blp.problems(RunFinished)
@blp.response(200, RunSchema)
def cancel_run(run_id: UUID, *, condition: Precondition) -> Run:
    """End a run; one in progress is told to stop, and is cancelled within 10 seconds"""
    with transaction():
        return runs.cancel_run(actor=current_actor(), run_id=run_id, condition=condition)


@blp.route("/runs/<uuid:run_id>/retry", methods=["POST"])
@blp.requires("write")
@blp.conditional
@blp.problems(RunFinished, RunNotFinished, ScheduleCancelled, OwnerInactive)
@blp.response(200, RunSchema)
def retry_run(run_id: UUID, *, condition: Precondition) -> Run:
    """Do a run again that failed, was cancelled or skipped: the same run, its next attempt"""
    with transaction():
        return runs.retry_run(actor=current_actor(), run_id=run_id, condition=condition)


@blp.route("/runs/retry", methods=["POST"])
@blp.requires("write")
@blp.problems(OwnerInactive)
@blp.arguments(RetryRunsSchema, required=False)
@blp.response(200, RetriedSchema)
def retry_runs(data: dict[str, Any]) -> Retried:
    """Do one's failed runs again that fit, 1,000 at most at a time"""
    with transaction():
        return runs.retry_runs(actor=current_actor(), **data)
