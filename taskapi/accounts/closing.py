"""Closing an account: the person is forgotten, and the row stays for the history of others."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import throttle
from taskapi.accounts.locking import lock_with_admins
from taskapi.accounts.models import (
    OneTimeToken,
    PersonalToken,
    RecoveryCode,
    SecondFactor,
    SignInSession,
    User,
)
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.closing import OnStep, run_closing_hooks, unwatched
from taskapi.core.db import session
from taskapi.core.events import Event, erase_contents, record_event
from taskapi.core.preconditions import ANY_VERSION, Precondition

# Whatever lets the person in; refresh tokens go with their sessions.
WAYS_IN: Sequence[Any] = (SignInSession, PersonalToken, OneTimeToken, SecondFactor, RecoveryCode)


def close_account(*, actor: Actor, condition: Precondition = ANY_VERSION) -> None:
    """Close the caller's account, whose password was just asked for.

    Raises:
        LastAdmin: nobody could administrate the installation any more.
        PreconditionFailed, UserNotFound
    """
    locked = lock_with_admins(actor.user_id)
    if locked.user.closed_at is not None:
        return
    locked.require_another_admin()
    condition.check(locked.user.version)
    close(locked.user, actor=actor)


def close(
    user: User, *, actor: Actor | None, heir_id: UUID | None = None, on_step: OnStep = unwatched
) -> None:
    """Close an account that is locked.

    Sessions and tokens end at once, the rooms do their part, and what tells who it was is erased,
    also from earlier events. The names are free for others.

    Args:
        heir_id: who gets what can be handed over, locked as well.
        on_step: told of each room that begins.
    """
    _delete_ways_in(user.id)
    run_closing_hooks(user_id=user.id, actor=actor, heir_id=heir_id, on_step=on_step)
    _erase_person(user)
    session().flush()
    record_event("user.closed", subject=("user", user.id), actor=actor, owner_id=user.id)


def _delete_ways_in(user_id: UUID) -> None:
    for model in WAYS_IN:
        statement = sa.delete(model).where(model.user_id == user_id)
        session().execute(statement.execution_options(synchronize_session=False))
    throttle.forget_failures(user_id)


def _erase_person(user: User) -> None:
    closed = f"closed-{user.id}"
    # Nobody can register or sign in by these: an address has an @, and a username has none.
    user.email = user.email_key = closed
    user.username, user.username_key = closed, f"@{closed}"
    # No hash: it fits nothing, after the usual work.
    user.password_hash = ""
    user.full_name = user.avatar_url = None
    user.timezone, user.notification_preferences = "UTC", {}
    user.role, user.is_active, user.email_verified = "user", False, False
    user.closed_at = clock.now()
    # Events of the account hold its former names; those of their things, what they wrote there.
    about = sa.and_(Event.subject_type == "user", Event.subject_id == user.id)
    erase_contents(sa.or_(about, Event.owner_id == user.id))
