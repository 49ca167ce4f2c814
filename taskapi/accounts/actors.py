"""Users on whose behalf something is done while they are not there."""

from uuid import UUID

from taskapi.accounts import queries
from taskapi.accounts.models import User
from taskapi.core.access import Actor


def absent_actor(*, user_id: UUID, as_admin: bool) -> Actor | None:
    """The user as who does something now; None if their account is closed or switched off.

    Args:
        as_admin: as an administrator, if they are one.
    """
    user = queries.find_users([user_id]).get(user_id)
    if user is None or not user.is_active:
        return None
    return actor_of(user) if as_admin else actor_of(user).as_anybody()


def actor_of(user: User) -> Actor:
    """The user as who does something."""
    return Actor(user_id=user.id, role=user.role, username=user.username, timezone=user.timezone)
