"""Endpoints of notifications, and the link that stops e-mail."""

from typing import Any
from uuid import UUID

from flask import Response

from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, page_schema
from taskapi.notifications import service
from taskapi.notifications.models import Notification
from taskapi.notifications.schemas import NotificationQuery, NotificationSchema, UnreadCountSchema
from taskapi.notifications.templates import render_page
from taskapi.notifications.unsubscribe import read_unsubscribe_token, which_emails

blp = Blueprint("notifications", __name__, url_prefix="/api/notifications", description="Notifications")

PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"


@blp.route("", methods=["GET"])
@blp.requires("read")
@blp.arguments(NotificationQuery, location="query")
@blp.response(200, page_schema(NotificationSchema))
def list_notifications(query: dict[str, Any]) -> Page[Notification]:
    """One's notifications, newest first"""
    return service.list_notifications(actor=current_actor(), **query)


@blp.route("/unread-count", methods=["GET"])
@blp.requires("read")
@blp.response(200, UnreadCountSchema)
def count_unread() -> dict[str, int]:
    """How many are unread"""
    return service.count_unread(actor=current_actor())


@blp.route("/read-all", methods=["PUT"])
@blp.requires("write")
@blp.response(200, UnreadCountSchema)
def mark_all_read() -> dict[str, int]:
    """Mark all as read"""
    with transaction():
        return service.mark_all_read(actor=current_actor())


@blp.route("/<uuid:notification_id>/read", methods=["PUT"])
@blp.requires("write")
@blp.response(200, NotificationSchema)
def mark_read(notification_id: UUID) -> Notification:
    """Mark one as read"""
    with transaction():
        return service.mark_read(actor=current_actor(), notification_id=notification_id)


@blp.route("/unsubscribe/<token>", methods=["GET"])
@blp.public
@blp.response(200, {"type": "string"}, content_type="text/html")
def ask_to_unsubscribe(token: str) -> Response:
    """A page that asks before it stops e-mail (link scanners follow links, people press buttons)"""
    user_id, _address, kind = read_unsubscribe_token(token)
    return _page(f"Stop {which_emails(user_id=user_id, kind=kind)}?", ask=True)


@blp.route("/unsubscribe/<token>", methods=["POST"])
@blp.public
@blp.takes_form
@blp.response(200, {"type": "string"}, content_type="text/html")
def unsubscribe(token: str) -> Response:
    """Stop e-mail of this kind with one click (RFC 8058)"""
    user_id, address, kind = read_unsubscribe_token(token)
    with transaction():
        service.unsubscribe(user_id=user_id, address=address, kind=kind)
    return _page(f"Done: no more {which_emails(user_id=user_id, kind=kind).removeprefix('all ')}.", ask=False)


def _page(heading: str, *, ask: bool) -> Response:
    response = Response(render_page("unsubscribe_page", heading=heading, ask=ask))
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response
