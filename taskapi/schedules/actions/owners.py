"""The owner of a run, as an action acts for them."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from taskapi.accounts.actors import absent_actor
from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.errors import ValidationFailed
from taskapi.notifications.recipients import MailLimitReached
from taskapi.schedules.actions.base import ActionFailed, RunContext
from taskapi.schedules.models import Schedule


def owner_of(context: RunContext) -> Actor:
    """Who owns the run, as an administrator if they made the schedule as one and still are.

    Call it in the transaction that acts for them.

    Raises:
        ActionFailed: permanently, when their account is not open any more.
    """
    as_admin = session().scalar(sa.select(Schedule.as_admin).where(Schedule.id == context.schedule_id))
    actor = absent_actor(user_id=context.owner_id, as_admin=bool(as_admin))
    if actor is None:
        message = "The owner of the schedule has no open account any more."
        raise ActionFailed(message, code="owner_inactive", permanent=True)
    return actor


@contextmanager
def within_mail_limit() -> Iterator[None]:
    """Fail the attempt where others were mailed as often as one may; another comes when there may be room."""
    try:
        yield
    except MailLimitReached as error:
        raise ActionFailed(str(error), code="mail_limit_reached", retry_after=error.retry_after) from error


def refused(error: ValidationFailed) -> ActionFailed:
    """What was right when the schedule was made and is not any more; another attempt fails alike."""
    return ActionFailed(error.detail, code=error.code, permanent=True)
