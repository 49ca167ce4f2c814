"""Params that only administrators may use: checked when they are sent, and again when a run begins."""

from typing import Any
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.core.access import Actor, AdminOnly
from taskapi.core.db import transaction
from taskapi.schedules.actions.base import Action, ActionFailed
from taskapi.schedules.models import Schedule


def check_sender(action: Action, params: dict[str, Any], *, actor: Actor | None) -> None:
    """
    Raises:
        AdminOnly: the actor is no administrator, and one of the params is for them.
        MissingScope: one of them has somebody told what the actor may not read.
    """
    listeners = action.tells(params) if action.tells is not None else ()
    if actor is not None and any(params.get(name) for name in listeners):
        actor.check_scope("read")
    used = used_by_admins(action, params)
    if used and actor is not None and not actor.is_admin:
        raise AdminOnly(f"Only an administrator may use params.{used[0]}.")


def reach_of_change(schedule: Schedule, actor: Actor) -> bool:
    """Whether what somebody now says of its work is done as by an administrator.

    What is said by who is none is not, also if they become one.

    Raises:
        MissingScope: a program of an administrator would get further by it than by itself.
    """
    if actor.role == "admin":
        actor.check_reach(as_admin=schedule.as_admin)
    return schedule.as_admin and actor.is_admin


def check_owner(action: Action, params: dict[str, Any], *, owner_id: UUID) -> None:
    """Refuse what a schedule's owner might do once, and may not any more.

    Raises:
        ActionFailed: permanently.
    """
    used = used_by_admins(action, params)
    if not used:
        return
    with transaction():
        allowed = accounts.is_active_admin(user_id=owner_id)
    if not allowed:
        message = f"Only the schedule of an active administrator may use params.{used[0]}."
        raise ActionFailed(message, code=AdminOnly.code, permanent=True)


def used_by_admins(action: Action, params: dict[str, Any]) -> list[str]:
    """Those of the params for administrators that are used."""
    return [name for name in action.admin_params if params.get(name) not in (None, False)]
