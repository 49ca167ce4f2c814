"""Where jobs outside call: the address itself is the permission."""

import sys

from flask import Response, abort, g, request

from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.schedules import pings
from taskapi.schedules.pings import Call

blp = Blueprint("pings", __name__, url_prefix="/ping", description="Calls of jobs outside")
TEXT = {"type": "string"}


@blp.route("/<token>", methods=["GET", "POST"])
@blp.public
@blp.for_probes
@blp.takes_anything
@blp.response(200, TEXT, content_type="text/plain")
def ping(token: str) -> Response:
    """Say that the job has succeeded; a body is kept with the run, 10 kB of it"""
    return _receive(token, failed=False)


@blp.route("/<token>/fail", methods=["GET", "POST"])
@blp.public
@blp.for_probes
@blp.takes_anything
@blp.response(200, TEXT, content_type="text/plain")
def ping_failure(token: str) -> Response:
    """Say that the job has failed; the body is the message"""
    return _receive(token, failed=True)


def _receive(token: str, *, failed: bool) -> Response:
    # No transaction waits for a body that comes slowly.
    call = Call(request.method, _beginning_of_body(), request.remote_addr)
    known = pings.is_known(token=token)
    if known:
        with transaction():
            known = pings.receive_ping(token=token, failed=failed, call=call)
    if not known:
        # In the router's words: an unknown token looks like any path that is not there.
        abort(404)
    return Response("OK\n", mimetype="text/plain")


def _beginning_of_body() -> bytes:
    """What is kept of it, read once: when the database asks for it, the view is called again."""
    if "beginning_of_body" not in g:
        # A long log is no reason to raise a false alarm.
        request.max_content_length = sys.maxsize
        g.beginning_of_body = request.stream.read(pings.MAX_BODY_BYTES)
    kept: bytes = g.beginning_of_body
    return kept
