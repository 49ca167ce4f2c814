"""``expect_ping``: a heartbeat check. A job outside calls an address; silence is a failure."""

from typing import Any

from taskapi.core.schemas import Schema, Seconds
from taskapi.schedules.actions.base import Action, ActionFailed, RunContext

THIRTY_DAYS = 30 * 86_400.0


class ExpectPingParams(Schema):
    """How long after each due time the ping may come."""

    grace = Seconds(minimum=1, maximum=THIRTY_DAYS, required=True)


def _has_no_work(_context: RunContext, _params: dict[str, Any]) -> None:
    raise ActionFailed("A heartbeat check waits for a ping and has no work of its own.", permanent=True)


EXPECT_PING = Action(
    "expect_ping",
    "Expects a call from a job outside, and fails when none comes",
    ExpectPingParams,
    _has_no_work,
    waits=lambda params: float(params["grace"]),
)
