"""What an action is: a name, a schema for its params, and ``run(context, params)``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any
from uuid import UUID

from taskapi.core import clock
from taskapi.core.errors import ValidationFailed
from taskapi.core.ids import new_id
from taskapi.core.json import storable_text
from taskapi.core.schemas import Schema

MAX_LOG_LINES = 1_000
MAX_LINE_LENGTH = 4_000
MAX_LEVEL_LENGTH = 10
# Beyond it programs that read JSON round: 2**53, as RFC 8259 warns.
LARGEST_PROGRESS = 9_007_199_254_740_992


class ActionFailed(Exception):
    """The action could not do its work.

    Args:
        code: a stable word for programs, kept in the run's ``error``.
        permanent: another attempt would fail alike, so none is made.
        retry_after: the next attempt comes no sooner than in so many seconds, or in the policy's
            ``max_delay`` if that is less.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "action_failed",
        permanent: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.permanent = permanent
        self.retry_after = retry_after


class RunCancelled(BaseException):
    """Somebody cancelled the run: raised in its action, which should end soon.

    No ``Exception``, so that ``except Exception`` lets it pass; an action that must tidy up does
    it in ``finally``, and has about five seconds before its process is ended.
    """


class UnknownAction(ValidationFailed):
    """No action of this name is installed; ``GET /api/actions`` lists those that are."""

    code = "unknown_action"
    title = "Unknown action"


@dataclass(frozen=True, slots=True)
class LogLine:
    at: datetime
    level: str
    message: str
    id: UUID = field(default_factory=new_id)


@dataclass(slots=True, kw_only=True)
class RunContext:
    """What an action may know of its run, and how it tells what it does.

    Attributes:
        run_id: stable over retries: give it to receivers as the idempotency key.
        attempt: rises with each attempt.
        timezone: of the schedule.
        timeout: seconds that this attempt may take.
        reached: what ``progress`` told last.
    """

    run_id: UUID
    schedule_id: UUID
    schedule_name: str
    owner_id: UUID
    scheduled_for: datetime
    attempt: int
    timeout: float = 300.0
    timezone: str = "UTC"
    lines: list[LogLine] = field(default_factory=list)
    reached: dict[str, float | None] | None = None
    _cancelled: Event = field(default_factory=Event)

    @property
    def cancelled(self) -> bool:
        """Whether somebody has cancelled the run."""
        return self._cancelled.is_set()

    def check_cancelled(self) -> None:
        """End the action here if somebody has cancelled the run.

        Raises:
            RunCancelled
        """
        if self.cancelled:
            raise RunCancelled

    def cancel(self) -> None:
        """Tell the action that its run is cancelled; the engine does so."""
        self._cancelled.set()

    def progress(self, done: float, total: float | None = None) -> None:
        """Tell how far the work is; ``GET /api/runs/{id}`` shows it within about a second.

        What is no number that JSON can hold is left out: telling must not end the work.
        """
        if all(abs(number) <= LARGEST_PROGRESS for number in (done, total or 0)):
            self.reached = {"done": _plain(done), "total": None if total is None else _plain(total)}

    def log(self, message: str, *, level: str = "info") -> None:
        """Keep a line with the run; ``/api/runs/{id}/log`` shows it within about a second."""
        if len(self.lines) == MAX_LOG_LINES:
            self.lines.append(LogLine(clock.now(), "warning", f"The log is cut after {MAX_LOG_LINES} lines."))
        if len(self.lines) <= MAX_LOG_LINES:
            text, word = storable_text(message)[:MAX_LINE_LENGTH], storable_text(level)[:MAX_LEVEL_LENGTH]
            self.lines.append(LogLine(clock.now(), word, text))


def _plain(number: float) -> float:
    """As JSON knows it, whatever kind of number an action counts with."""
    return int(number) if number == int(number) else float(number)


@dataclass(frozen=True, slots=True)
class Action:
    """An action that schedules may name.

    Attributes:
        run: does the work and returns what is kept as the run's result (JSON values). It is
            called outside of any transaction, may run twice for one run and must bear it.
        check: refuses what a schema cannot, by raising marshmallow's ``ValidationError``; it gets
            the params as the schema read them, when they are sent and not when they are used.
        secrets: names of params that are sealed where they are stored, shown as ``***``, and
            opened for ``run`` alone.
        private: names of params in which people put what lets somebody in elsewhere: answered as they were
            sent, but the log of changes, which is kept for good, tells only that they are there.
        admin_params: names of params that only administrators may send, and have in their schedules;
            one that is false or null stands for nothing.
        tells: gives the names of params that say who else is told what the owner sees, if these params have
            somebody told. Whoever sends one needs the scope ``read``, and another owner of the schedule
            begins without it.
        waits: for an action that is done outside: how many seconds a run waits for the ping that
            ends it, by its params. No worker has it meanwhile, and ``run`` is not called.
        threaded: that ``run`` mostly waits for somebody else, and may be called in many threads of a
            process at a time. In a thread nothing interrupts it: it keeps to ``context.timeout`` and
            asks ``context.check_cancelled`` by itself.
    """

    name: str
    summary: str
    params: type[Schema]
    run: Callable[[RunContext, dict[str, Any]], Any]
    check: Callable[[dict[str, Any]], None] | None = None
    secrets: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    admin_params: tuple[str, ...] = ()
    tells: Callable[[dict[str, Any]], tuple[str, ...]] | None = None
    waits: Callable[[dict[str, Any]], float] | None = None
    threaded: bool = False
