"""How a connection begins: decided in the request that opens it, told to the loop that serves it."""

from collections.abc import Callable
from typing import Any

from taskapi.core.access import Actor
from taskapi.core.errors import Unauthorized
from taskapi.core.handover import Take
from taskapi.core.refusals import refused_later
from taskapi.core.runtime import runtime_settings
from taskapi.events.feed import head
from taskapi.events.live.connection import TOKEN_ENDED, Connection
from taskapi.events.live.errors import TooManyConnections
from taskapi.events.live.process import live_of_process
from taskapi.events.live.readers import reader_of, start_of
from taskapi.events.live.stream import EventStream
from taskapi.events.live.websocket import WebSocket

FULL_SECONDS = 5


def open_stream(*, actor: Actor, last_event_id: str) -> Take:
    """Who takes the socket of a request for server-sent events.

    Raises:
        TooManyConnections
    """
    return _take(EventStream, _admit(actor, last_event_id))


def open_websocket(*, actor: Actor | None, refusal: Unauthorized | None, last_event_id: str) -> Take:
    """Who takes the socket of a request for a WebSocket.

    Args:
        actor: None if nobody has shown a valid token.
        refusal: what is wrong with the token; None if none was shown: the first message will.

    Raises:
        TooManyConnections
    """
    if actor is not None:
        return _take(WebSocket, _admit(actor, last_event_id))
    if refusal is not None:
        code = refusal.code
        return _take(WebSocket, lambda connection: connection.end(TOKEN_ENDED, code))
    now, refuse = head(), refused_later()
    return _take(WebSocket, lambda connection: connection.expect_token(last_event_id, now, refuse))


def _admit(actor: Actor, last_event_id: str) -> Callable[[Connection], None]:
    # Read before the answer leaves: what happens once the client has it is told.
    reader, start = reader_of(actor), start_of(actor, last_event_id)
    return lambda connection: connection.admit(reader, start)


def _take(kind: type[Connection], opened: Callable[[Any], None]) -> Take:
    live = live_of_process()
    if len(live.connections) >= runtime_settings().live_connections:
        raise TooManyConnections(headers={"Retry-After": str(FULL_SECONDS)})
    return lambda sock, head, early: live.adopt(kind(live, head, opened), sock, early)
