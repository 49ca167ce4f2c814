"""Endpoints of figures over tasks and runs."""

from collections.abc import Mapping
from typing import Any

from flask import Response

from taskapi.analytics import service
from taskapi.analytics.schemas import (
    ExportQuery,
    FiguresSchema,
    OverviewSchema,
    PerformanceQuery,
    PerformanceSchema,
    PeriodQuery,
    RunFiguresQuery,
    RunFiguresSchema,
    TrendSchema,
    TrendsQuery,
)
from taskapi.analytics.sending import send_tasks
from taskapi.analytics.service import Performance
from taskapi.clients.storage.base import StorageFull, StorageUnavailable
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.paging import Page, page_schema
from taskapi.schedules.figures import ActionFigures

blp = Blueprint("analytics", __name__, url_prefix="/api/analytics", description="Figures and exports")


@blp.route("", methods=["GET"])
@blp.requires("read")
@blp.kept_for_a_while
@blp.arguments(PeriodQuery, location="query")
@blp.response(200, FiguresSchema)
def count_created(query: dict[str, Any]) -> dict[str, dict[str, int]]:
    """How many tasks were created in a period, by status and by who created them"""
    return service.count_created(actor=current_actor(), **query)


@blp.route("/overview", methods=["GET"])
@blp.requires("read")
@blp.kept_for_a_while
@blp.response(200, OverviewSchema)
def get_overview() -> dict[str, Any]:
    """How things are now: counts by status and priority, and what is pressing"""
    return service.overview(actor=current_actor())


@blp.route("/performance", methods=["GET"])
@blp.requires("read")
@blp.kept_for_a_while
@blp.arguments(PerformanceQuery, location="query")
@blp.response(200, page_schema(PerformanceSchema))
def list_performance(query: dict[str, Any]) -> Page[Performance]:
    """What became of the tasks of each person who was given some"""
    return service.list_performance(actor=current_actor(), **query)


@blp.route("/trends", methods=["GET"])
@blp.requires("read")
@blp.kept_for_a_while
@blp.arguments(TrendsQuery, location="query")
@blp.response(200, page_schema(TrendSchema))
def list_trends(query: dict[str, Any]) -> Page[Mapping[str, Any]]:
    """How many tasks were created and completed in each day, week or month"""
    return service.list_trends(actor=current_actor(), **query)


@blp.route("/runs", methods=["GET"])
@blp.requires("read")
@blp.arguments(RunFiguresQuery, location="query")
@blp.response(200, page_schema(RunFiguresSchema))
def list_run_figures(query: dict[str, Any]) -> Page[ActionFigures]:
    """How well the runs of each action go: how many succeed, how late they begin, how long they take"""
    return service.list_run_figures(actor=current_actor(), **query)


@blp.route("/export", methods=["GET"])
@blp.requires("read")
@blp.arguments(ExportQuery, location="query")
@blp.problems(StorageFull, StorageUnavailable)
@blp.response(
    200, {"type": "string", "format": "binary"}, content_type="*/*", description="All that fit, oldest first"
)
def export_tasks(query: dict[str, Any]) -> Response:
    """Tasks as a workbook or as CSV, by the filters of their list"""
    return send_tasks(actor=current_actor(), **query)
