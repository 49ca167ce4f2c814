"""Rules of accounts: registering, profiles, roles."""

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from taskapi.accounts import names, queries
from taskapi.accounts.errors import (
    EmailTaken,
    RegistrationClosed,
    TokenRevoked,
    UsernameTaken,
    UserNotFound,
)
from taskapi.accounts.models import User
from taskapi.accounts.passwords import check_new_password, hash_password
from taskapi.config import Settings
from taskapi.core.access import Actor
from taskapi.core.db import savepoint, session
from taskapi.core.events import record_event
from taskapi.core.mail_kinds import ONLY_IF_WANTED, SECURITY_KINDS
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import ANY_VERSION, Precondition

NAME_ATTEMPTS = 10


def register(*, settings: Settings, email: str, password_hash: str, **profile: Any) -> User:
    """Make an account for somebody who asks for one; the arguments are those of ``create_user``.

    They are mailed a link that shows that the address is theirs.

    Raises:
        RegistrationClosed, EmailTaken, UsernameTaken, ValidationFailed
    """
    require_registration(settings)
    user = create_user(email=email, password_hash=password_hash, by_owner=True, **profile)
    ask_to_verify_email(user)
    return user


def require_registration(settings: Settings) -> None:
    """
    Raises:
        RegistrationClosed: people do not make accounts by themselves.
    """
    if not settings.registration:
        raise RegistrationClosed


def ask_to_verify_email(user: User) -> None:
    """Have a link mailed to the user; it is made by whoever hears of this event."""
    record_event(
        "user.email_verification_requested", subject=("user", user.id), actor=user.id, owner_id=user.id
    )


def hash_new_password(
    *,
    settings: Settings,
    password: str,
    email: str,
    username: str | None = None,
    full_name: str | None = None,
    field: str = "password",
    **_profile: Any,
) -> str:
    """The hash of a password that follows the rules; the other arguments say whose it will be.

    Call it outside of a transaction: hashing is slow on purpose, and SQLite has one writer.

    Args:
        field: where the password stood in the request, for the error.

    Raises:
        ValidationFailed: with the reason in words.
    """
    about_user = names.words_about(email=email, username=username, full_name=full_name)
    check_new_password(
        password,
        minimum=settings.password_min_length,
        about_user=(*about_user, settings.app_name),
        check_common=settings.password_check_common,
        field=field,
    )
    return hash_password(password)


def create_user(
    *,
    email: str,
    password_hash: str,
    username: str | None = None,
    full_name: str | None = None,
    timezone: str = "UTC",
    role: str = "user",
    is_active: bool = True,
    actor: Actor | None = None,
    by_owner: bool = False,
) -> User:
    """Make an account; a missing username is made from the e-mail address.

    Args:
        by_owner: nobody else makes it.

    Raises:
        EmailTaken, UsernameTaken, ValidationFailed
    """
    email, email_key = names.checked_email(email)
    names.check_full_name(full_name)
    user = User(
        email=email,
        email_key=email_key,
        password_hash=password_hash,
        full_name=full_name,
        timezone=timezone,
        role=role,
        is_active=is_active,
    )
    if username is None:
        _insert_with_free_username(user)
    else:
        _insert(user, *names.checked_username(username))
    record_event(
        "user.created",
        subject=("user", user.id),
        actor=user.id if by_owner else actor,
        owner_id=user.id,
        after=public_state(user),
    )
    return user


def _insert_with_free_username(user: User) -> None:
    for _ in range(NAME_ATTEMPTS):
        # Somebody else may take the name between the look and the insert.
        with suppress(UsernameTaken):
            return _insert(user, *names.free_username(user.email))
    raise UsernameTaken("Choose a username: many accounts are being made with this one.")


def _insert(user: User, username: str, key: str) -> None:
    user.username, user.username_key = username, key
    try:
        with savepoint():
            session().add(user)
    except IntegrityError as error:
        # The unique index decides, not a look before: two people may ask at the same moment.
        if "email_key" in str(error.orig):
            raise EmailTaken("An account with this e-mail address exists.") from error
        if "username_key" in str(error.orig):
            raise UsernameTaken("This username is taken.") from error
        raise


def get_user(*, user_id: UUID) -> User:
    user = session().get(User, user_id)
    if user is None:
        raise UserNotFound
    return user


def is_active_admin(*, user_id: UUID) -> bool:
    return queries.is_active_admin(user_id)


def is_active(*, user_id: UUID) -> bool:
    """Whether the account is open and switched on; it may change the next moment."""
    return queries.is_active(user_id)


def check_still_active(*, user_id: UUID) -> None:
    """Refuse to end what was begun long ago by somebody who has left meanwhile.

    Raises:
        TokenRevoked: the account was closed or switched off.
    """
    if not queries.stays_active(user_id):
        raise TokenRevoked("The session has ended.")


def lock_active(*, user_ids: Collection[UUID]) -> set[UUID]:
    """Those of the users who may be given things; nobody closes their accounts meanwhile."""
    return queries.lock_active(user_ids)


def require_active(*, user_ids: Collection[UUID], judge: Callable[[set[UUID]], object]) -> None:
    """The same for few, when the transaction makes its inserts (``core/together``).

    Args:
        judge: given those whose accounts are open, raises unless they are all that are needed.
    """
    queries.require_active(user_ids, judge)


def active_ids() -> sa.Select[UUID]:
    """A query of the ids of all whose accounts are open."""
    return queries.active_ids()


def find_users(*, user_ids: Collection[UUID]) -> dict[UUID, User]:
    """The users with these ids, also those whose accounts are closed."""
    return queries.find_users(user_ids) if user_ids else {}


def directory_entry(*, user_id: sa.ColumnElement[UUID | None]) -> sa.ColumnElement[Any]:
    """For statements of other rooms; see ``queries.directory_entry``."""
    return queries.directory_entry(user_id)


def find_active(*, names: Collection[str]) -> dict[str, UUID]:
    """Who is called by these e-mail addresses and usernames, of those whose accounts are open."""
    return queries.find_active(names) if names else {}


def usernames(*, user_ids: Collection[UUID]) -> dict[UUID, str]:
    """What the users with these ids are called."""
    return queries.usernames(user_ids)


def get_user_by_login(*, login: str) -> User:
    """The user with this e-mail address, username or id.

    Raises:
        UserNotFound
    """
    user = queries.find_user(login) or queries.find_user_by_id(login)
    if user is None:
        raise UserNotFound(f"There is no user {login!r}.")
    return user


def list_directory(*, page: PageRequest, q: str = "") -> Page[User]:
    """Active users, by name; ``q`` is a part of the username or full name, whatever its case."""
    return queries.page_of_directory(page, q=q)


def update_profile(*, actor: Actor, changes: dict[str, Any], condition: Precondition = ANY_VERSION) -> User:
    """Change the fields of one's own profile that are given; what they are already is no change.

    Raises:
        UserNotFound, ValidationFailed, PreconditionFailed
    """
    names.check_full_name(changes.get("full_name"))
    user = queries.lock_user(actor.user_id)
    if user is None:
        raise UserNotFound
    condition.check(user.version)
    changes = {name: value for name, value in changes.items() if getattr(user, name) != value}
    if not changes:
        return user
    before = public_state(user)
    for name, value in changes.items():
        setattr(user, name, value)
    session().flush()
    record_event(
        "user.updated",
        subject=("user", user.id),
        actor=actor,
        owner_id=user.id,
        before=before,
        after=public_state(user),
    )
    return user


def mail_preference(*, user_id: UUID, kind: str) -> tuple[User | None, bool]:
    """The user, and whether they get e-mail of this kind, by their preferences; inactive ones get none.

    What is about the security of the account cannot be switched off.
    """
    user = session().get(User, user_id)
    if user is None or not user.is_active:
        return user, False
    if kind in SECURITY_KINDS:
        return user, True
    return user, bool(user.notification_preferences.get("email", {}).get(kind, kind not in ONLY_IF_WANTED))


def switch_mail_off(*, user_id: UUID, kind: str) -> None:
    """Stop e-mail of this kind to the user; asking twice changes nothing more."""
    user = queries.lock_user(user_id)
    if user is None:
        return
    preferences = dict(user.notification_preferences)
    preferences["email"] = {**preferences.get("email", {}), kind: False}
    user.notification_preferences = preferences
    record_event(
        "user.unsubscribed", subject=("user", user.id), owner_id=user.id, after={"email": {kind: False}}
    )


def public_state(user: User) -> dict[str, Any]:
    """What an event may say of a user: no secret, JSON values."""
    shown = ("email", "username", "full_name", "avatar_url", "role", "is_active", "timezone")
    return {name: getattr(user, name) for name in shown}
