"""What administrators do with accounts; without an actor it is the operator, from the shell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from taskapi.accounts import administration_queries, names, one_time, queries, service, throttle
from taskapi.accounts.errors import UserNotFound
from taskapi.accounts.locking import Locked, lock_with_admins
from taskapi.accounts.models import User
from taskapi.accounts.one_time import PASSWORD_RESET
from taskapi.config import Settings
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.closing import count_things, run_switch_hooks
from taskapi.core.db import session
from taskapi.core.digests import digest
from taskapi.core.events import record_event
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import ANY_VERSION, Precondition

# No hash: it fits nothing, after the usual work.
NO_PASSWORD = ""
PROFILE = ("full_name", "timezone", "email_verified")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedUser:
    """A user as administrators see them.

    Attributes:
        last_sign_in_at: None also when it was so long ago that the session is forgotten.
        counts: how many things of each sort they have, such as ``tasks``.
    """

    user: User
    last_sign_in_at: datetime | None
    counts: Mapping[str, int]

    def __getattr__(self, name: str) -> Any:
        return self.counts[name] if name in self.counts else getattr(self.user, name)

    @property
    def entity_tag(self) -> str:
        """The version, which edits are compared with, and what else is shown."""
        return f"v{self.user.version}.{digest(self.last_sign_in_at, sorted(self.counts.items()))}"


def list_users(*, page: PageRequest, **filters: Any) -> Page[ManagedUser]:
    """Accounts, the newest first; see ``administration_queries`` for the filters."""
    found = administration_queries.page_of_users(page, **filters)
    return found.with_items(_managed(found.items))


def all_users(**filters: Any) -> list[ManagedUser]:
    """Accounts, the oldest first, by the same filters."""
    return _managed(administration_queries.all_users(**filters))


def find_user(*, login: str) -> ManagedUser:
    """The user with this id, e-mail address or username.

    Raises:
        UserNotFound: also when the account is closed.
    """
    return _managed([_unclosed(service.get_user_by_login(login=login))])[0]


def get_user(*, user_id: UUID) -> ManagedUser:
    """
    Raises:
        UserNotFound: also when the account is closed.
    """
    return _managed([_unclosed(service.get_user(user_id=user_id))])[0]


def count_users() -> dict[str, int]:
    """How many accounts there are that are not closed, and of which sorts."""
    return administration_queries.count_users(new_since=clock.now() - timedelta(days=7))


def complete_username(*, text: str, limit: int) -> list[str]:
    """Usernames that begin with a text, in any case; of so many at most."""
    return list(administration_queries.names_beginning_with(queries.fold(text), limit=limit))


def hash_first_password(*, settings: Settings, password: str | None = None, **profile: Any) -> str | None:
    """The hash of the password of a user to make, if one is given; see ``service.hash_new_password``."""
    if password is None:
        return None
    return service.hash_new_password(settings=settings, password=password, **profile)


def create_user(*, actor: Actor | None, password_hash: str | None, **profile: Any) -> ManagedUser:
    """Make an account; without a password, its owner is mailed a link to choose one.

    Raises:
        EmailTaken, UsernameTaken, ValidationFailed
    """
    user = service.create_user(actor=actor, password_hash=password_hash or NO_PASSWORD, **profile)
    _invite(user, actor)
    return _managed([user])[0]


def update_user(
    *, actor: Actor | None, user_id: UUID, changes: dict[str, Any], condition: Precondition = ANY_VERSION
) -> ManagedUser:
    """Change the fields that are given; what they are already is no change.

    Who loses a role or is switched off is signed out at once, everywhere. What runs by itself for
    somebody who is switched off is held until they are switched on again.

    Raises:
        UserNotFound, ValidationFailed, PreconditionFailed
        LastAdmin: nobody could administrate the installation any more.
        OwnAccount: administrators cannot take their own role or access.
    """
    names.check_full_name(changes.get("full_name"))
    locked = _lock(user_id)
    user = locked.user
    condition.check(user.version)
    changes = {name: value for name, value in changes.items() if getattr(user, name) != value}
    if changes.get("role") == "user" or changes.get("is_active") is False:
        locked.require_another_admin()
        locked.require_somebody_else(actor)
        queries.end_sessions(user.id)
    before = {name: getattr(user, name) for name in changes}
    for name, value in changes.items():
        setattr(user, name, value)
    session().flush()
    _record(user, actor, before=before, after=changes)
    if "is_active" in changes:
        _switch(user, actor)
    return _managed([user])[0]


def set_password(*, actor: Actor | None, user_id: UUID, password_hash: str) -> ManagedUser:
    """Give a user another password; all of their sessions and open links end, and they are told by mail.

    Raises:
        UserNotFound
    """
    user = _lock(user_id).user
    user.password_hash = password_hash
    queries.end_sessions(user.id)
    one_time.void(user_id=user.id, purpose=PASSWORD_RESET)
    throttle.forget_failures(user.id)
    session().flush()
    _tell("user.password_changed", user, actor, after={"by": "admin"})
    return _managed([user])[0]


def hash_password_for(*, settings: Settings, login: str, password: str) -> str:
    """The hash of a password that somebody else chose for a user; call it outside of a transaction.

    Raises:
        UserNotFound
        ValidationFailed: with the reason in words.
    """
    user = find_user(login=login)
    about = {"email": user.email, "username": user.username, "full_name": user.full_name}
    return service.hash_new_password(settings=settings, password=password, **about)


def _managed(users: Sequence[User]) -> list[ManagedUser]:
    ids = [user.id for user in users]
    signed_in, counts = administration_queries.last_sign_ins(ids), count_things(ids)
    return [
        ManagedUser(user=user, last_sign_in_at=signed_in.get(user.id), counts=counts[user.id])
        for user in users
    ]


def _unclosed(user: User) -> User:
    if user.closed_at is not None:
        raise UserNotFound(f"The account {user.id} is closed.")
    return user


def _lock(user_id: UUID) -> Locked:
    locked = lock_with_admins(user_id)
    _unclosed(locked.user)
    return locked


def _switch(user: User, actor: Actor | None) -> None:
    run_switch_hooks(user_id=user.id, is_active=user.is_active, actor=actor)
    _invite(user, actor)


def _invite(user: User, actor: Actor | None) -> None:
    """Have a link mailed to an active user who has no password yet."""
    if user.is_active and user.password_hash == NO_PASSWORD:
        _tell("user.invited", user, actor)


def _record(user: User, actor: Actor | None, *, before: dict[str, Any], after: dict[str, Any]) -> None:
    """An event for each sort of change, as those who look for them mean one sort."""
    activity = "user.activated" if user.is_active else "user.deactivated"
    sorts = {activity: ("is_active",), "user.role_changed": ("role",), "user.updated": PROFILE}
    for event, fields in sorts.items():
        new = {name: after[name] for name in fields if name in after}
        if new:
            _tell(event, user, actor, before={name: before[name] for name in new}, after=new)


def _tell(
    event: str,
    user: User,
    actor: Actor | None,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    subject = ("user", user.id)
    record_event(event, subject=subject, actor=actor, owner_id=user.id, before=before, after=after)
