"""What a package with actions imports: these names stay, wherever they live inside.

``docs/actions.md`` tells how to write one.
"""

from taskapi.clients import http
from taskapi.core.db import session, transaction
from taskapi.core.schemas import Flag, Schema, Seconds, Text, Time, TimeZone, WholeNumber, Word
from taskapi.schedules.actions.base import Action, ActionFailed, RunContext

__all__ = [
    "Action",
    "ActionFailed",
    "Flag",
    "RunContext",
    "Schema",
    "Seconds",
    "Text",
    "Time",
    "TimeZone",
    "WholeNumber",
    "Word",
    "http",
    "session",
    "transaction",
]
