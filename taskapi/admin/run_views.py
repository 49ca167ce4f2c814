"""Endpoints of everybody's runs, for administrators."""

from typing import TYPE_CHECKING, Any

from taskapi.admin import listing
from taskapi.admin.listing import Owned
from taskapi.admin.work_schemas import OwnedRunQuery, OwnedRunSchema
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.paging import Page, page_schema

if TYPE_CHECKING:
    from taskapi.schedules.models import Run

blp = Blueprint("admin_runs", __name__, url_prefix="/api/admin", description="Administration: runs")


@blp.route("/runs", methods=["GET"])
@blp.requires("admin")
@blp.arguments(OwnedRunQuery, location="query")
@blp.response(200, page_schema(OwnedRunSchema))
def list_runs(query: dict[str, Any]) -> "Page[Owned[Run]]":
    """Everybody's runs, the newest first, with their owners

    ``total`` is told as for ``GET /api/runs``.
    """
    return listing.list_runs(actor=current_actor(), **query)
