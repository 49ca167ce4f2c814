"""Connections that outlive their request: a view answers, and somebody else goes on with the socket.

A WSGI application cannot give its connection away by itself, so the web server must help: ours
does (``ops/gunicorn_handover.py``). It sends the head of the answer along, with all its headers.
"""

import socket
from collections.abc import Callable
from typing import Any, TypeAlias

from flask import request

from taskapi.core.errors import DomainError

# Takes the socket, the head of the answer, which nobody has sent yet, and what the client has
# already sent behind its request.
Take: TypeAlias = Callable[[socket.socket, bytes, bytes], None]

POSSIBLE, TAKE = "taskapi.handover_possible", "taskapi.handover_take"


class LiveUnavailable(DomainError):
    """This web server keeps no connections open, as gunicorn does: read ``/api/changes`` instead."""

    status = 503
    code = "live_unavailable"
    title = "Live events unavailable"


def hand_over(prepare: Callable[[], Take]) -> None:
    """Have what ``prepare`` answers called with the connection of this request once its answer is made.

    The body of that answer is left to whoever takes the connection.

    Raises:
        LiveUnavailable: the web server cannot do it.
    """
    if not request.environ.get(POSSIBLE):
        raise LiveUnavailable
    request.environ[TAKE] = prepare()


def taker_of(environ: dict[str, Any]) -> Take | None:
    """Who takes the connection of the request that was answered; mostly nobody."""
    take: Take | None = environ.get(TAKE)
    return take
