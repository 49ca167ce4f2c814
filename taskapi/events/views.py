"""The endpoint of the changes feed."""

from typing import Any

from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.events import changes
from taskapi.events.changes import Changes
from taskapi.events.cursors import CursorGone
from taskapi.events.schemas import ChangesQuery, FeedPageSchema

blp = Blueprint("changes", __name__, url_prefix="/api", description="What has changed")


@blp.route("/changes", methods=["GET"])
@blp.requires("read")
@blp.arguments(ChangesQuery, location="query")
@blp.problems(CursorGone)
@blp.response(200, FeedPageSchema)
def list_changes(query: dict[str, Any]) -> Changes:
    """Everything that changed for the caller since a token, with tombstones, in the order of the commits

    Send the `next` of each answer as `since` of the next request, for as long as `more` is true, and
    again whenever there may be something new. 410 `changes_expired`: fetch the lists, and go on from
    the `next` that the problem carries.
    """
    return changes.list_changes(actor=current_actor(), **query)
