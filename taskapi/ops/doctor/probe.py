"""A request that this installation recognises as its own doctor's, and answers with what arrived.

What proxies do on the way shows nowhere else. The request is signed and soon expires, so nobody
else learns which addresses stand between.
"""

import json
from dataclasses import asdict, dataclass

from flask import Response, request
from itsdangerous import BadSignature

from taskapi.core import clock
from taskapi.core.proxies import PEER
from taskapi.core.signing import serializer

PROBE, SEEN = "X-Taskapi-Probe", "X-Taskapi-Seen"
# The clocks of two machines may differ.
VALID_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as the service saw it.

    Attributes:
        peer: the other end of the connection.
        forwarded_for: ``X-Forwarded-For`` as it arrived.
        client: who the service believes has sent it.
    """

    peer: str
    forwarded_for: str
    client: str
    scheme: str
    host: str


def make_probe() -> str:
    """The value of the header ``PROBE``."""
    return str(serializer("doctor").dumps(int(clock.now().timestamp())))


def show_what_arrived(response: Response) -> Response:
    """After each request: tell the doctor, and nobody else, how its request arrived."""
    if _is_ours(request.headers.get(PROBE, "")):
        seen = Seen(
            peer=request.environ.get(PEER) or request.remote_addr or "",
            forwarded_for=request.headers.get("X-Forwarded-For", ""),
            client=request.remote_addr or "",
            scheme=request.scheme,
            host=request.host,
        )
        response.headers[SEEN] = json.dumps(asdict(seen))
    return response


def _is_ours(probe: str) -> bool:
    try:
        made_at = serializer("doctor").loads(probe) if probe else 0
    except BadSignature:
        return False
    return isinstance(made_at, int) and abs(clock.now().timestamp() - made_at) <= VALID_SECONDS


def read_seen(text: str) -> Seen:
    return Seen(**json.loads(text))
