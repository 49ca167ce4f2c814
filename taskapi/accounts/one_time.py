"""One-time tokens: the secrets in mailed links.

A secret is derived from the installation's key and the row's id, and only its SHA-256 is stored:
who reads the database, the outbox included, has no token that works (OWASP Forgot Password Cheat
Sheet, "URL Tokens"). It is put into the message when that leaves.
"""

import hmac
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import one_time_queries, queries
from taskapi.accounts.errors import InvalidOneTimeToken
from taskapi.accounts.models import OneTimeToken, User
from taskapi.accounts.tokens import hash_token
from taskapi.core import clock
from taskapi.core.db import session
from taskapi.core.ids import new_id
from taskapi.core.signing import derived_secrets

PASSWORD_RESET, VERIFY_EMAIL = "password_reset", "verify_email"
PREFIXES = {PASSWORD_RESET: "tvr_", VERIFY_EMAIL: "tve_"}
LIFETIMES = {PASSWORD_RESET: timedelta(hours=1), VERIFY_EMAIL: timedelta(hours=24)}
# Anybody can have mail sent to an address they know; its owner is not to be flooded.
MOST_IN_AN_HOUR = 20
# Longer than the hour in which they are counted.
KEEP_CLOSED = timedelta(days=1)


def issue(*, user_id: UUID, purpose: str, asked_at: datetime) -> UUID | None:
    """Make a token for a user, who is locked, and void the older ones of its purpose; its id.

    None when it would have expired already, or there were too many lately: the last one then
    still works.

    Args:
        asked_at: its lifetime counts from here, however late the message is made.
    """
    now, expires_at = clock.now(), asked_at + LIFETIMES[purpose]
    if now >= expires_at:
        return None
    if one_time_queries.count_issued(user_id, purpose, since=now - timedelta(hours=1)) >= MOST_IN_AN_HOUR:
        return None
    void(user_id=user_id, purpose=purpose)
    token = OneTimeToken(id=new_id(), user_id=user_id, purpose=purpose, expires_at=expires_at)
    token.token_hash = hash_token(_secrets_of(purpose, token.id)[0])
    session().add(token)
    session().flush()
    return token.id


def secret_of(*, one_time_token_id: UUID) -> str | None:
    """The secret that goes into the link, by whichever key made it; None if it works no longer."""
    found = one_time_queries.find_open_by_id(one_time_token_id, at=clock.now())
    if found is None:
        return None
    secrets = _secrets_of(found.purpose, found.id)
    return next((text for text in secrets if hmac.compare_digest(hash_token(text), found.token_hash)), None)


def redeem(*, token: str, purpose: str) -> User:
    """Use a token up; its owner, locked.

    Raises:
        InvalidOneTimeToken: unknown, expired, used, voided, of another purpose, or its owner is
            inactive; which, is not told.
    """
    now, token_hash = clock.now(), hash_token(token)
    owner = one_time_queries.owner_of_open(token_hash, purpose, at=now)
    # The user is locked before the token, in the order in which every change of an account does.
    user = queries.lock_user(owner.id) if owner else None
    if user is None or not user.is_active or not one_time_queries.use(token_hash, purpose, at=now):
        raise InvalidOneTimeToken
    return user


def owner_of(*, token: str, purpose: str) -> "sa.Row[UUID, str, str, str | None]":
    """Id, e-mail address, username and full name of whose token it is; nothing is used up.

    Raises:
        InvalidOneTimeToken: as ``redeem``.
    """
    owner = one_time_queries.owner_of_open(hash_token(token), purpose, at=clock.now())
    if owner is None:
        raise InvalidOneTimeToken
    return owner


def void(*, user_id: UUID, purpose: str) -> None:
    """Let the user's open links for this purpose work no longer."""
    open_ones = (OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose)
    statement = sa.update(OneTimeToken).where(*open_ones, OneTimeToken.used_at.is_(None))
    session().execute(statement.values(used_at=clock.now()).execution_options(synchronize_session=False))


def forget_closed_tokens() -> None:
    """Remove tokens that were used or expired a while ago."""
    before = clock.now() - KEEP_CLOSED
    closed = sa.or_(OneTimeToken.used_at < before, OneTimeToken.expires_at < before)
    session().execute(sa.delete(OneTimeToken).where(closed).execution_options(synchronize_session=False))


def _secrets_of(purpose: str, token_id: UUID) -> list[str]:
    """The token by the current key and by each former one."""
    derived = derived_secrets(f"one_time_token.{purpose}", token_id)
    return [PREFIXES[purpose] + secret for secret in derived]
