"""Locking an account together with those of all administrators, of whom one must stay."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from taskapi.accounts import queries
from taskapi.accounts.errors import LastAdmin, OwnAccount, UserNotFound
from taskapi.accounts.models import User
from taskapi.core.access import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A user, and whoever was locked with them by id: active administrators, and who else was named."""

    user: User
    others: Mapping[UUID, User]

    def require_another_admin(self) -> None:
        """Call it before the user stops being an active administrator.

        Raises:
            LastAdmin: nobody could administrate the installation any more.
        """
        admins = [other for other in self.others.values() if other.role == "admin" and other.is_active]
        if self.user.role == "admin" and self.user.is_active and not admins:
            raise LastAdmin("Make somebody else an administrator first.")

    def require_somebody_else(self, actor: Actor | None) -> None:
        """Call it before an administrator takes away what the user is; the operator may.

        Raises:
            OwnAccount: the user is the administrator.
        """
        if actor is not None and actor.user_id == self.user.id:
            raise OwnAccount(
                "This is your own account: another administrator can do this, or you close it yourself"
                " by DELETE /api/auth/me."
            )


def lock_with_admins(user_id: UUID, *also: UUID) -> Locked:
    """
    Raises:
        UserNotFound: there is none; a closed account is found.
    """
    others = {user.id: user for user in queries.lock_users_and_admins(user_id, *also)}
    user = others.pop(user_id, None)
    if user is None:
        raise UserNotFound(f"There is no user {user_id}.")
    return Locked(user=user, others=others)
