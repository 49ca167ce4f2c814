"""Where calendar programs read: the address itself is the permission."""

from typing import Any

from flask import Response, abort, request

from taskapi.calendar import reading
from taskapi.calendar.reading import OpenFeed
from taskapi.calendar.schemas import CalendarQuery
from taskapi.core.blueprint import Blueprint
from taskapi.core.openapi import ETAG

blp = Blueprint("calendar", __name__, url_prefix="/calendar", description="For calendar programs")
TEXT = {"type": "string"}
# Who edits a task and asks the calendar program to look again sees it, a minute later at most.
CACHE_CONTROL = "private, max-age=60"


@blp.route("/<token>.ics", methods=["GET"])
@blp.public
@blp.arguments(CalendarQuery, location="query")
@blp.alt_response(304, description="Not changed since the answer with this ETag", headers=ETAG)
@blp.response(200, TEXT, content_type="text/calendar", headers=ETAG)
def read_calendar(query: dict[str, Any], token: str) -> Response:
    """Due dates of tasks and next fire times of schedules, as iCalendar (RFC 5545)"""
    feed = reading.open_feed(token=token, **query)
    if feed is None:
        # In the router's words: an unknown token looks like any path that is not there.
        abort(404)
    return _answer(feed)


def _answer(feed: OpenFeed) -> Response:
    is_unchanged = request.if_none_match.contains_weak(feed.entity_tag)
    response = Response(status=304) if is_unchanged else Response(feed.write(), mimetype="text/calendar")
    response.set_etag(feed.entity_tag)
    response.headers["Cache-Control"] = CACHE_CONTROL
    if not is_unchanged:
        response.headers["Content-Disposition"] = 'inline; filename="calendar.ics"'
    return response
