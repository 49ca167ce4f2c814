"""Endpoints of queues, for administrators."""

from typing import Any

from taskapi.admin.queue_schemas import QueueSchema
from taskapi.background import queues
from taskapi.background.connection import RedisUnavailable
from taskapi.background.queues import QueueFigures
from taskapi.core.blueprint import Blueprint
from taskapi.core.paging import Page, PageQuery, page_of_list, page_schema

blp = Blueprint("admin_queues", __name__, url_prefix="/api/admin", description="Administration: queues")


@blp.route("/queues", methods=["GET"])
@blp.requires("admin")
@blp.arguments(PageQuery, location="query")
@blp.problems(RedisUnavailable)
@blp.response(200, page_schema(QueueSchema))
def list_queues(query: dict[str, Any]) -> Page[QueueFigures]:
    """What waits in each queue and who works on it, in the order in which workers look at them"""
    return page_of_list(queues.list_queues(), request_=query["page"])
