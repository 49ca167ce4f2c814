"""What an action is: a name, a schema for its params, and ``run(context, params)``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from taskapi.core import clock
from taskapi.core.errors import ValidationFailed
from taskapi.core.json import storable_text
from taskapi.core.schemas import Schema

MAX_LOG_LINES = 1_000
MAX_LINE_LENGTH = 4_000


class ActionFailed(Exception):
    """The action could not do its work.

    Args:
        code: a stable word for programs, kept in the run's ``error``.
        permanent: another attempt would fail alike, so none is made.
    """

    def __init__(self, message: str, *, code: str = "action_failed", permanent: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.permanent = permanent


class UnknownAction(ValidationFailed):
    """No action of this name is installed; ``GET /api/actions`` lists those that are."""

    code = "unknown_action"
    title = "Unknown action"


@dataclass(frozen=True, slots=True)
class LogLine:
    at: datetime
    level: str
    message: str


@dataclass(slots=True, kw_only=True)
class RunContext:
    """What an action may know of its run, and how it tells what it does.

    Attributes:
        run_id: stable over retries: give it to receivers as the idempotency key.
        attempt: rises with each attempt.
    """

    run_id: UUID
    schedule_id: UUID
    schedule_name: str
    owner_id: UUID
    scheduled_for: datetime
    attempt: int
    lines: list[LogLine] = field(default_factory=list)

    def log(self, message: str, *, level: str = "info") -> None:
        """Keep a line with the run, to be read at ``/api/runs/{id}/log``."""
        if len(self.lines) == MAX_LOG_LINES:
            self.lines.append(LogLine(clock.now(), "warning", f"The log is cut after {MAX_LOG_LINES} lines."))
        if len(self.lines) <= MAX_LOG_LINES:
            self.lines.append(LogLine(clock.now(), level, storable_text(message)[:MAX_LINE_LENGTH]))


@dataclass(frozen=True, slots=True)
class Action:
    """An action that schedules may name.

    Attributes:
        run: does the work and returns what is kept as the run's result (JSON values). It is
            called outside of any transaction, may run twice for one run and must bear it.
    """

    name: str
    summary: str
    params: type[Schema]
    run: Callable[[RunContext, dict[str, Any]], Any]
