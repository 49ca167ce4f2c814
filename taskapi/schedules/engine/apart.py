"""One schedule that cannot be planned stops nobody else: a batch that fails is handled one by one."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from taskapi.core.db import database_moment, read_database_clock, savepoint, session, transaction
from taskapi.core.events import record_event
from taskapi.core.json import storable_text
from taskapi.core.repeating import has_taken_too_long, is_of_the_server, is_transient
from taskapi.schedules.engine import due
from taskapi.schedules.models import Schedule

log = structlog.get_logger(__name__)

# A schedule that cannot be planned is left alone for so long; its due times stay due.
SET_ASIDE = timedelta(hours=1)
# So is one at which the database took too long: mostly somebody holds what all need, and lets it go. If it is
# needed by this one alone, the others have more time than it takes to find that out again.
HELD_UP = timedelta(minutes=3)

Handle = Callable[[Sequence[Schedule]], int]


def together_or_apart(
    together: Callable[[], int], claim: Callable[[], Sequence[Schedule]], handle: Handle
) -> int:
    """Do a batch ``together`` in one transaction; how many schedules.

    A batch that fails is claimed again and handled schedule by schedule, so that one poisoned row
    is set aside and stops nobody else.
    """
    try:
        with transaction():
            return together()
    except Exception as error:
        # The next one is small again: perhaps it took too long.
        due.forget_backlog()
        if _is_of_no_schedule(error):
            raise
        log.warning("dispatch.batch_failed", error=_in_short(error))
    with transaction():
        return _one_by_one(claim(), handle)


def _one_by_one(schedules: Sequence[Schedule], handle: Handle) -> int:
    """How many were seen to; where one takes too long, the rest is left to the next round."""
    for number, schedule in enumerate(schedules, start=1):
        schedule_id = schedule.id
        try:
            with savepoint():
                handle([schedule])
        except Exception as error:
            if _is_of_no_schedule(error):
                raise
            session().refresh(schedule)
            if isinstance(error, DBAPIError) and has_taken_too_long(error):
                _hold_up(schedule, error)
                return number
            log.exception("dispatch.schedule_set_aside", schedule_id=str(schedule_id))
            _set_aside(schedule, error)
    return len(schedules)


def _set_aside(schedule: Schedule, error: Exception) -> None:
    schedule.fault = _in_short(error)
    schedule.set_aside_until = read_database_clock() + SET_ASIDE
    record_event(
        "schedule.set_aside",
        subject=("schedule", schedule.id),
        owner_id=schedule.owner_id,
        after={"fault": schedule.fault},
    )
    session().flush()


def _hold_up(schedule: Schedule, error: Exception) -> None:
    """Its turn comes again, and until then the others have theirs."""
    log.warning("dispatch.schedule_held_up", schedule_id=str(schedule.id), error=_in_short(error))
    schedule.fault = "The database took too long over it when it was due."
    # From now on: this transaction began before what took so long.
    now: datetime = session().execute(sa.select(database_moment())).scalar_one()
    schedule.set_aside_until = now + HELD_UP
    session().flush()


def _is_of_no_schedule(error: Exception) -> bool:
    """Whether it says nothing of what was handled: it is tried again soon, and none is set aside for it."""
    return isinstance(error, DBAPIError) and (is_transient(error) or is_of_the_server(error))


def _in_short(error: Exception) -> str:
    """What people may read of an error: no SQL and no parameters."""
    if isinstance(error, DBAPIError):
        return f"{type(error).__name__}: the database refused it"
    return storable_text(f"{type(error).__name__}: {error}")[:2000]
