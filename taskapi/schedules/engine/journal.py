"""What an action tells while it runs: its log lines and how far it is, written as it goes."""

from typing import Any

import sqlalchemy as sa

from taskapi.core.db import insert_into, session
from taskapi.schedules.actions.base import LogLine, RunContext
from taskapi.schedules.bookkeeping import RunLogLine
from taskapi.schedules.engine import claims
from taskapi.schedules.models import Run


class Journal:
    """Writes what ``context`` has gathered; make it in the thread that has the session.

    A line has its id from the moment it was logged: one whose commit may have happened is
    written again without standing there twice.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._insert = insert_into(RunLogLine).on_conflict_do_nothing()
        self._written = 0
        self._progress: dict[str, Any] | None = None

    def write(self, engine: sa.Engine) -> None:
        """Write what is new, if anything, in a transaction of its own; nothing when the run was lost."""
        lines, progress = self._news()
        if not lines and progress == self._progress:
            return
        change = claims.change_of_attempt(self._context.run_id, self._context.attempt, progress=progress)
        with engine.begin() as connection:
            if connection.execute(change).rowcount and lines:
                connection.execute(self._insert, self._rows(lines))
        self._written += len(lines)
        self._progress = progress

    def finish(self, run: Run) -> None:
        """Write the rest, in the transaction that ends the attempt."""
        lines, run.progress = self._news()
        if lines:
            session().execute(self._insert, self._rows(lines))

    def _news(self) -> tuple[list[LogLine], dict[str, Any] | None]:
        return self._context.lines[self._written :], self._context.reached

    def _rows(self, lines: list[LogLine]) -> list[dict[str, Any]]:
        whose = {"run_id": self._context.run_id, "attempt": self._context.attempt}
        return [
            {**whose, "id": line.id, "at": line.at, "level": line.level, "message": line.message}
            for line in lines
        ]
