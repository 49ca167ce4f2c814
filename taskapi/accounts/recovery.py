"""Rules of changing and resetting a password, and of verifying an e-mail address.

Requests for a mail only record an event: the link is made, and mailed, by whoever hears of it.
Personal access tokens outlive a new password: they are deleted one by one. Only the first proof of
an address ends them.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from taskapi.accounts import one_time, queries, service, throttle
from taskapi.accounts.errors import TokenRevoked, UserNotFound
from taskapi.accounts.models import SignInSession, User
from taskapi.accounts.one_time import PASSWORD_RESET, VERIFY_EMAIL
from taskapi.accounts.passwords import normal_form
from taskapi.accounts.throttle import NOBODY, Device
from taskapi.config import Settings
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.closing import reclaim
from taskapi.core.db import session
from taskapi.core.errors import ValidationFailed
from taskapi.core.events import record_event


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The answer to a request for a mail; it tells nothing of the account."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailedLink:
    """To whom a link is sent, and whose secret stands in it."""

    user: User
    one_time_token_id: UUID


def hash_changed_password(
    *, settings: Settings, actor: Actor, current_password: str, new_password: str
) -> str:
    """The hash of the caller's next password, once they have shown that they know the current one.

    Call it outside of a transaction: hashing is slow on purpose, and SQLite has one writer.

    Raises:
        WrongPassword, TooManyFailures
        ValidationFailed: the new password breaks the rules, or is the current one.
        UserNotFound
    """
    throttle.require_password(settings=settings, actor=actor, password=current_password)
    if normal_form(new_password) == normal_form(current_password):
        raise ValidationFailed({"new_password": ["This is the password that you have."]})
    user = queries.names_of(actor.user_id)
    if user is None:
        raise UserNotFound
    return service.hash_new_password(
        settings=settings,
        password=new_password,
        email=user.email,
        username=user.username,
        full_name=user.full_name,
        field="new_password",
    )


def change_password(*, actor: Actor, password_hash: str) -> None:
    """Give the caller another password; their other sessions and the open links to reset it end.

    Raises:
        TokenRevoked: the caller's session has ended since the current password was checked.
    """
    user = queries.lock_user(actor.user_id)
    if user is None or actor.session_id is None or not queries.is_live_session(actor.session_id):
        raise TokenRevoked("The session has ended.")
    user.password_hash = password_hash
    queries.end_sessions(user.id, except_for=actor.session_id)
    # They were of who knew the former one.
    throttle.forget_failures(user.id)
    one_time.void(user_id=user.id, purpose=PASSWORD_RESET)
    _record_new_password(user, by="change", actor=actor)


def request_password_reset(*, email: str) -> Asked:
    """Ask for a link that sets a new password; the same work and answer whether there is an account.

    Args:
        email: of the account; a username is understood as well, as at sign-in.
    """
    user = queries.find_user(email)
    user_id = user.id if user else None
    record_event("user.password_reset_requested", subject=("user", user_id or NOBODY), owner_id=user_id)
    return Asked(detail="If there is an active account with this address, a link is on its way to it.")


def hash_reset_password(*, settings: Settings, token: str, password: str) -> str:
    """The hash of the password that the owner of this token chose; the token is not used up.

    Call it outside of a transaction: hashing is slow on purpose, and SQLite has one writer.

    Raises:
        InvalidOneTimeToken
        ValidationFailed: with the reason in words; the link still works.
    """
    owner = one_time.owner_of(token=token, purpose=PASSWORD_RESET)
    return service.hash_new_password(
        settings=settings,
        password=password,
        email=owner.email,
        username=owner.username,
        full_name=owner.full_name,
    )


def reset_password(*, token: str, password_hash: str, device: Device) -> None:
    """Set the password of whom the link was mailed to; all of their sessions end.

    Who has the link reads the mail of the address, which is verified by that. A second factor stays;
    personal tokens, and whoever is told of what the account sees, do if the address was verified before.

    Raises:
        InvalidOneTimeToken
    """
    user = one_time.redeem(token=token, purpose=PASSWORD_RESET)
    if not user.email_verified:
        # Somebody else may have made the account under this address, and left a way in.
        queries.delete_tokens(user.id)
        reclaim(user.id)
    user.password_hash, user.email_verified = password_hash, True
    queries.end_sessions(user.id)
    throttle.forget_failures(user.id)
    _vouch_for(user, device)
    _record_new_password(user, by="reset", actor=None)


def request_verification(*, actor: Actor) -> Asked:
    """Ask for another link that verifies one's address; nothing is sent when it is verified already.

    Raises:
        UserNotFound
    """
    user = service.get_user(user_id=actor.user_id)
    if not user.email_verified:
        service.ask_to_verify_email(user)
    return Asked(detail="Unless the address is verified already, a link is on its way to it.")


def verify_email(*, token: str) -> None:
    """Mark the address as verified that the link was mailed to.

    Raises:
        InvalidOneTimeToken
    """
    user = one_time.redeem(token=token, purpose=VERIFY_EMAIL)
    if user.email_verified:
        return
    user.email_verified = True
    record_event(
        "user.email_verified",
        subject=("user", user.id),
        actor=user.id,
        owner_id=user.id,
        before={"email_verified": False},
        after={"email_verified": True},
    )


def issue_link(*, user_id: UUID, purpose: str, asked_at: datetime) -> MailedLink | None:
    """A new link for an active user, which voids the older ones; None when none is to be sent."""
    user = queries.lock_user(user_id)
    if user is None or not user.is_active or (purpose == VERIFY_EMAIL and user.email_verified):
        return None
    token_id = one_time.issue(user_id=user_id, purpose=purpose, asked_at=asked_at)
    return MailedLink(user=user, one_time_token_id=token_id) if token_id else None


def _vouch_for(user: User, device: Device) -> None:
    """Remember where the owner is, so that somebody who goes on guessing does not lock them out."""
    now = clock.now()
    # A session that is over as it begins: nothing is signed in by it.
    session().add(
        SignInSession(
            user_id=user.id,
            address=device.address,
            user_agent=device.user_agent,
            expires_at=now,
            revoked_at=now,
        )
    )


def _record_new_password(user: User, *, by: str, actor: Actor | None) -> None:
    record_event(
        "user.password_changed",
        subject=("user", user.id),
        actor=actor or user.id,
        owner_id=user.id,
        after={"by": by},
    )
