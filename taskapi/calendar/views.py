"""Endpoints under /api/calendar: the addresses that one gives to calendar programs."""

from typing import Any
from uuid import UUID

from taskapi.calendar import service
from taskapi.calendar.errors import FeedNotFound, TooManyFeeds
from taskapi.calendar.models import CalendarFeed
from taskapi.calendar.schemas import CalendarFeedSchema, CreatedCalendarFeedSchema, NewCalendarFeedSchema
from taskapi.calendar.service import NewFeed
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, PageQuery, page_schema
from taskapi.core.preconditions import Precondition

blp = Blueprint("calendar_feeds", __name__, url_prefix="/api/calendar/feeds", description="Calendar feeds")


@blp.route("", methods=["POST"])
@blp.requires("write", "read")
@blp.arguments(NewCalendarFeedSchema)
@blp.problems(TooManyFeeds)
@blp.response(201, CreatedCalendarFeedSchema)
def create_feed(data: dict[str, Any]) -> NewFeed:
    """Make a secret address for a calendar program; it is shown this once"""
    with transaction():
        return service.create_feed(actor=current_actor(), **data)


@blp.route("", methods=["GET"])
@blp.requires("read")
@blp.arguments(PageQuery, location="query")
@blp.response(200, page_schema(CalendarFeedSchema))
def list_feeds(query: dict[str, Any]) -> Page[CalendarFeed]:
    """One's calendar feeds, newest first"""
    return service.list_feeds(actor=current_actor(), **query)


@blp.route("/<uuid:feed_id>", methods=["GET"])
@blp.requires("read")
@blp.problems(FeedNotFound)
@blp.response(200, CalendarFeedSchema)
def show_feed(feed_id: UUID) -> CalendarFeed:
    """A calendar feed, without its address"""
    return service.get_feed(actor=current_actor(), feed_id=feed_id)


@blp.route("/<uuid:feed_id>", methods=["DELETE"])
@blp.requires("write")
@blp.conditional
@blp.problems(FeedNotFound)
@blp.response(204)
def delete_feed(feed_id: UUID, *, condition: Precondition) -> None:
    """Delete a calendar feed; its address answers 404 at once"""
    with transaction():
        service.delete_feed(actor=current_actor(), feed_id=feed_id, condition=condition)
