"""Deleting somebody else's account, and telling before what becomes of their things."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from taskapi.accounts import administration_queries, closing, service
from taskapi.accounts.errors import UserNotFound
from taskapi.accounts.locking import lock_with_admins
from taskapi.core.access import Actor
from taskapi.core.closing import Fate, OnStep, foresee_closing, unwatched
from taskapi.core.errors import ValidationFailed
from taskapi.core.preconditions import ANY_VERSION, Precondition

if TYPE_CHECKING:
    from taskapi.accounts.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What becomes, or became, of a user's things.

    Attributes:
        reassign_to: who gets what can be handed over; None if it is deleted.
        things: those of which there are any.
    """

    id: UUID
    username: str
    reassign_to: "User | None"
    things: Sequence[Fate]


def foresee_deletion(*, user_id: UUID, reassign_to: str | None = None) -> Deletion:
    """What ``delete_user`` would do now.

    Raises:
        UserNotFound
        ValidationFailed: nothing can be handed over to this user.
    """
    user, heir = service.get_user(user_id=user_id), _heir(reassign_to, user_id)
    if user.closed_at is not None:
        raise UserNotFound
    return _deletion(user, heir)


def delete_user(
    *,
    actor: Actor | None,
    user_id: UUID,
    reassign_to: str | None = None,
    condition: Precondition = ANY_VERSION,
    on_step: OnStep = unwatched,
) -> Deletion:
    """Close a user's account for good, and hand over or delete what they have.

    Args:
        reassign_to: id, e-mail address or username of who gets their tasks, files, tags and
            schedules; without one, each room does as when somebody closes their own account.
        on_step: told of each room that begins: it may take long.

    Raises:
        UserNotFound, PreconditionFailed
        LastAdmin: nobody could administrate the installation any more.
        OwnAccount: administrators delete nobody but others.
        ValidationFailed: nothing can be handed over to this user.
    """
    heir = _heir(reassign_to, user_id)
    locked = lock_with_admins(user_id, *([heir.id] if heir else []))
    user = locked.user
    if user.closed_at is not None:
        raise UserNotFound
    # Read again by the lock: somebody may have closed the heir's account meanwhile.
    _check_heir(heir, user_id)
    condition.check(user.version)
    locked.require_another_admin()
    locked.require_somebody_else(actor)
    deletion = _deletion(user, heir)
    closing.close(user, actor=actor, heir_id=heir.id if heir else None, on_step=on_step)
    return deletion


def _deletion(user: "User", heir: "User | None") -> Deletion:
    ways_in = administration_queries.count_ways_in(user.id)
    things = foresee_closing(user_id=user.id, heir_id=heir.id if heir else None)
    things += [Fate(thing=name, outcome="deleted", count=count) for name, count in ways_in.items() if count]
    return Deletion(id=user.id, username=user.username, reassign_to=heir, things=things)


def _heir(login: str | None, user_id: UUID) -> "User | None":
    if login is None:
        return None
    try:
        heir = service.get_user_by_login(login=login)
    except UserNotFound as error:
        raise ValidationFailed({"reassign_to": [error.detail]}) from error
    _check_heir(heir, user_id)
    return heir


def _check_heir(heir: "User | None", user_id: UUID) -> None:
    if heir is None:
        return
    if heir.id == user_id:
        raise ValidationFailed({"reassign_to": ["Choose somebody else than who is deleted."]})
    if not heir.is_active:
        raise ValidationFailed({"reassign_to": ["This user is not active."]})
