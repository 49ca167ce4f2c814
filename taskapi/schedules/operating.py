"""What the operator sees of schedules and runs from the shell: everybody's, with whose they are."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.core.db import session
from taskapi.schedules import queries, run_queries
from taskapi.schedules.errors import RunNotFound, ScheduleNotFound
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.runs import get_run
from taskapi.schedules.secrets import shown_params
from taskapi.schedules.service import get_schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A schedule or a run, with the username of its owner."""

    thing: Schedule | Run
    owner: str | None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.thing, name)

    @property
    def params(self) -> dict[str, Any]:
        """Without the secrets among them."""
        return shown_params(self.thing.params)

    @property
    def when(self) -> str:
        """What a schedule is due by, in the words in which it was given."""
        every = None if self.every is None else f"every {self.every:g} s"
        at = None if self.run_at is None else f"{self.run_at:%Y-%m-%d %H:%M:%SZ}"
        return self.cron or self.rrule or every or at or "-"


def schedule_id_of(*, text: str) -> UUID:
    """The id of a schedule that the text names.

    Raises:
        ScheduleNotFound: it names none.
    """
    with suppress(ValueError):
        if queries.find_schedule(None, UUID(text), lock=False) is not None:
            return UUID(text)
    raise ScheduleNotFound(f"There is no schedule {text!r}.")


def run_id_of(*, text: str) -> UUID:
    """The id of a run that the text names.

    Raises:
        RunNotFound: it names none.
    """
    with suppress(ValueError):
        if run_queries.find_run(None, UUID(text)) is not None:
            return UUID(text)
    raise RunNotFound(f"There is no run {text!r}.")


def list_schedules(*, limit: int | None = None, **filters: Any) -> list[Listed]:
    """Everybody's schedules, newest first; see ``queries.filtered_schedules`` for the filters."""
    statement = queries.filtered_schedules(queries.visible_schedules(None), **filters)
    newest = statement.order_by(Schedule.created_at.desc(), Schedule.id.desc()).limit(limit)
    return _with_owners(session().scalars(newest).all())


def show_schedule(*, schedule_id: UUID) -> Listed:
    """
    Raises:
        ScheduleNotFound
    """
    return _with_owners([get_schedule(actor=None, schedule_id=schedule_id)])[0]


def list_runs(*, limit: int | None = None, **filters: Any) -> list[Listed]:
    """Everybody's runs, newest first; see ``run_queries.filtered`` for the filters."""
    statement = run_queries.filtered(run_queries.visible_runs(None), None, **filters)
    newest: sa.Select[Run] = statement.order_by(Run.created_at.desc(), Run.id.desc()).limit(limit)
    return _with_owners(session().scalars(newest).all())


def show_run(*, run_id: UUID) -> Listed:
    """
    Raises:
        RunNotFound
    """
    return _with_owners([get_run(actor=None, run_id=run_id)])[0]


def _with_owners(things: Sequence[Schedule] | Sequence[Run]) -> list[Listed]:
    names = accounts.usernames(user_ids={each.owner_id for each in things})
    return [Listed(thing=each, owner=names.get(each.owner_id)) for each in things]
