"""The endpoint of a task's history."""

from typing import Any
from uuid import UUID

from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.paging import Page, page_schema
from taskapi.tasks.history import HistoryEntry, list_history
from taskapi.tasks.history_schemas import HistoryEntrySchema, HistoryQuery

blp = Blueprint("task_history", __name__, url_prefix="/api/tasks/<uuid:task_id>/history", description="Tasks")


@blp.route("", methods=["GET"])
@blp.requires("read")
@blp.arguments(HistoryQuery, location="query")
@blp.response(200, page_schema(HistoryEntrySchema))
def list_task_history(query: dict[str, Any], task_id: UUID) -> Page[HistoryEntry]:
    """Who changed which field of a task from what to what, and when, newest first"""
    return list_history(actor=current_actor(), task_id=task_id, **query)
