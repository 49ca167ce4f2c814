"""What an action tells while it runs: its log lines and how far it is, written as it goes."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from taskapi.core.db import session
from taskapi.schedules.actions.base import LogLine, RunContext
from taskapi.schedules.engine import claims, statements
from taskapi.schedules.models import Run


class Journal:
    """Writes what ``context`` has gathered.

    A line has its id from the moment it was logged: one whose commit may have happened is
    written again without standing there twice.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._written = 0
        self._progress: dict[str, Any] | None = None

    @property
    def _unwritten(self) -> Sequence[LogLine]:
        return self._context.lines[self._written :]

    @property
    def progress(self) -> dict[str, Any] | None:
        """How far the action said that it is."""
        return self._context.reached

    def write(self, engine: sa.Engine) -> None:
        """Write what is new, if anything, in a transaction of its own; nothing when the run was lost."""
        lines, progress = self._unwritten, self.progress
        if not lines and progress == self._progress:
            return
        change = claims.change_of_attempt(self._context.run_id, self._context.attempt, progress=progress)
        with engine.begin() as connection:
            if connection.execute(change).rowcount:
                self._keep(lines, connection)
        self._written += len(lines)
        self._progress = progress

    def finish(self, run: Run) -> None:
        """Write the rest, in the transaction that ends the attempt."""
        run.progress = self.progress
        self.keep_rest()

    def keep_rest(self) -> None:
        """Write the lines that are not written yet, in the transaction that ends the attempt."""
        self._keep(self._unwritten, session().connection())

    def rest_as_json(self) -> list[dict[str, str]] | None:
        """Those lines for a statement that reads them from JSON."""
        rows = [
            {"id": str(line.id), "at": line.at.isoformat(), "level": line.level, "message": line.message}
            for line in self._unwritten
        ]
        return rows or None

    def _keep(self, lines: Sequence[LogLine], connection: sa.Connection) -> None:
        if not lines:
            return
        whose = {"run_id": self._context.run_id, "attempt": self._context.attempt}
        rows = [
            {**whose, "id": line.id, "at": line.at, "level": line.level, "message": line.message}
            for line in lines
        ]
        connection.execute(statements.KEEP_LINES[connection.dialect.name], rows)
