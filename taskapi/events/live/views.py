"""Endpoints whose connections stay: WebSocket and server-sent events."""

from functools import partial

from flask import Response, g, request
from flask.sansio.blueprints import BlueprintSetupState

from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.errors import Unauthorized
from taskapi.core.handover import LiveUnavailable, hand_over
from taskapi.core.runtime import runtime_settings
from taskapi.events.live.errors import BadHandshake, ForeignOrigin, TooManyConnections, UpgradeRequired
from taskapi.events.live.handshake import accept, check_origin
from taskapi.events.live.opening import open_stream, open_websocket
from taskapi.events.live.schemas import ResumeSchema
from taskapi.events.live.stream import BEGINNING

blp = Blueprint("live", __name__, url_prefix="", description="Events as they happen")
HANDSHAKE = (ForeignOrigin, UpgradeRequired, BadHandshake, LiveUnavailable, TooManyConnections)
# Proxies such as nginx would gather a whole answer before they pass it on.
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@blp.route("/ws", methods=["GET"])
@blp.judges_caller
@blp.arguments(ResumeSchema, location="query")
@blp.problems(*HANDSHAKE)
@blp.response(101, description="The connection is a WebSocket from now on")
def open_websocket_with_header(query: dict[str, str]) -> Response:
    """Events by WebSocket; the token comes in `Authorization`, or in the first message"""
    return _upgrade(query["last_event_id"], g.get("refusal") if "Authorization" in request.headers else None)


@blp.route("/ws/<token>", methods=["GET"])
@blp.judges_caller
@blp.arguments(ResumeSchema, location="query")
@blp.problems(*HANDSHAKE)
@blp.response(101, description="The connection is a WebSocket from now on")
def open_websocket_with_token(query: dict[str, str], **_token: str) -> Response:
    """Events by WebSocket, for clients that can send no header; a bad token is told by code 4401"""
    return _upgrade(query["last_event_id"], g.get("refusal"))


@blp.route("/api/events", methods=["GET"])
@blp.requires("read")
@blp.arguments(ResumeSchema, location="query")
@blp.problems(LiveUnavailable, TooManyConnections)
@blp.response(200, {"type": "string"}, content_type="text/event-stream", description="It does not end")
def stream_events(query: dict[str, str]) -> Response:
    """Events as server-sent events; `Last-Event-ID` goes on where one was"""
    last_event_id = query["last_event_id"] or request.headers.get("Last-Event-ID", "")
    if request.method != "HEAD":
        hand_over(partial(open_stream, actor=current_actor(), last_event_id=last_event_id))
    return Response(BEGINNING, mimetype="text/event-stream", headers=STREAM_HEADERS)


def _let_upgrades_in(state: BlueprintSetupState) -> None:
    # Werkzeug keeps requests that ask for a WebSocket apart, and would answer 400 to them.
    for rule, view in (("/ws", "open_websocket_with_header"), ("/ws/<token>", "open_websocket_with_token")):
        state.app.add_url_rule(rule, f"{blp.name}.{view}", websocket=True)


blp.record(_let_upgrades_in)


def _upgrade(last_event_id: str, refusal: Unauthorized | None) -> Response:
    check_origin(request, runtime_settings())
    headers = accept(request)
    actor = g.get("actor")
    hand_over(partial(open_websocket, actor=actor, refusal=refusal, last_event_id=last_event_id))
    return Response(status=101, headers=headers)
