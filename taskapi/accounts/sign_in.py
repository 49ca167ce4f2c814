"""Rules of signing in: sessions, access tokens and rotating refresh tokens."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import one_time, personal_tokens, queries, second_factor, service, throttle
from taskapi.accounts.errors import (
    InvalidCredentials,
    InvalidToken,
    RefreshTokenReused,
    TokenExpired,
    TokenRevoked,
)
from taskapi.accounts.models import RefreshToken, SignInSession, User
from taskapi.accounts.passwords import verify_password
from taskapi.accounts.throttle import Device, counted_attempt
from taskapi.accounts.tokens import (
    PERSONAL_PREFIX,
    REFRESH_PREFIX,
    hash_token,
    new_access_token,
    new_opaque_token,
    read_access_token,
)
from taskapi.config import Settings
from taskapi.core import clock
from taskapi.core.access import Actor, Shown
from taskapi.core.db import session
from taskapi.core.events import record_event
from taskapi.core.refusals import concerns
from taskapi.core.runtime import runtime_settings

# Parallel tabs may exchange the same refresh token at nearly the same time.
REUSE_GRACE = timedelta(seconds=30)
# Ended sessions are kept so that a late reuse of a token is still recognised.
KEEP_ENDED = timedelta(days=30)
UNKNOWN_DEVICE = Device()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedCredentials:
    """Whose credentials were right, and the hash of the password that was."""

    user_id: UUID
    password_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """What a client gets for signing in: the refresh token is shown this once."""

    access_token: str
    refresh_token: str
    expires_in: int
    user: User
    token_type: str = "bearer"  # noqa: S105 - a kind, not a secret


def check_credentials(
    *, settings: Settings, login: str, password: str, device: Device, code: str | None = None
) -> CheckedCredentials:
    """The user whose name, password and second factor these are.

    Call it outside of a transaction: hashing is slow on purpose, and SQLite has one writer.

    Raises:
        InvalidCredentials: unknown, inactive or wrong password, after the same work and time.
        TooManyFailures: the password of this account, or of this unknown name, was wrong too often.
        SecondFactorRequired, InvalidSecondFactor: only after the right password.
    """
    found = queries.credentials_of(login)
    if found is not None:
        concerns(found.id)
    key = throttle.key_of_sign_in(login=login, user_id=found.id if found else None, device=device)
    with counted_attempt(settings=settings, key=key):
        fits = verify_password(password, found.password_hash if found else None)
        if found is None or not fits or not found.is_active:
            raise InvalidCredentials("The name or the password is wrong.")
    second_factor.require_code(settings=settings, user_id=found.id, code=code, key=key)
    return CheckedCredentials(user_id=found.id, password_hash=found.password_hash)


def log_in(
    *, settings: Settings, credentials: CheckedCredentials, device: Device = UNKNOWN_DEVICE
) -> TokenPair:
    """Sign a user in whose credentials were checked.

    Raises:
        InvalidCredentials: meanwhile the password was changed, or the account closed or switched off.
    """
    # Locked: a change of the password ends the sessions that it finds, so none may begin beside it.
    user = queries.lock_user(credentials.user_id)
    if user is None or not user.is_active or user.password_hash != credentials.password_hash:
        raise InvalidCredentials("The name or the password is wrong.")
    return start_session(settings=settings, user_id=user.id, device=device)


def start_session(*, settings: Settings, user_id: UUID, device: Device = UNKNOWN_DEVICE) -> TokenPair:
    """Begin a session without asking for anything."""
    user = service.get_user(user_id=user_id)
    now = clock.now()
    sign_in = SignInSession(
        user_id=user.id,
        expires_at=now + timedelta(days=settings.refresh_token_days),
        address=device.address,
        user_agent=device.user_agent,
    )
    session().add(sign_in)
    session().flush()
    record_event("user.signed_in", subject=("user", user.id), actor=user.id, owner_id=user.id)
    return _new_pair(settings, user, sign_in)


def refresh(*, settings: Settings, token: str, device: Device = UNKNOWN_DEVICE) -> TokenPair:
    """Exchange a refresh token for a new pair; the old one is spent.

    Raises:
        InvalidToken: unknown.
        TokenExpired, TokenRevoked: its session is over.
        RefreshTokenReused: spent longer ago than the grace time, so somebody copied it: the
            session ends for both.
    """
    found = queries.lock_refresh_token(hash_token(token))
    if found is None:
        raise InvalidToken("The refresh token is not known.")
    spent, sign_in, user = found
    now = clock.now()
    if sign_in.revoked_at is not None or not user.is_active:
        raise TokenRevoked("The session has ended.")
    if now >= sign_in.expires_at:
        raise TokenExpired("The session has expired; sign in again.")
    if spent.spent_at is not None and now - spent.spent_at > REUSE_GRACE:
        sign_in.revoked_at = now
        record_event("session.reuse_detected", subject=("session", sign_in.id), owner_id=user.id)
        raise RefreshTokenReused("This refresh token was used before; the session was ended.")
    spent.spent_at = spent.spent_at or now
    sign_in.last_used_at = now
    sign_in.address, sign_in.user_agent = device.address, device.user_agent
    sign_in.expires_at = now + timedelta(days=settings.refresh_token_days)
    return _new_pair(settings, user, sign_in)


def log_out(*, actor: Actor) -> None:
    """End the session that the caller's token belongs to; its tokens stop working at once."""
    if actor.session_id is not None:
        _end_sessions(actor, SignInSession.id == actor.session_id)


def log_out_everywhere(*, actor: Actor) -> None:
    """End all sessions of the caller. Personal access tokens go on: they are deleted one by one."""
    _end_sessions(actor, sa.true())


def _end_sessions(actor: Actor, which: sa.ColumnElement[bool]) -> None:
    session().execute(
        sa.update(SignInSession)
        .where(SignInSession.user_id == actor.user_id, SignInSession.revoked_at.is_(None), which)
        .values(revoked_at=clock.now())
    )
    record_event("user.signed_out", subject=("user", actor.user_id), actor=actor, owner_id=actor.user_id)


def recognise(token: str) -> Shown | None:
    """What an access token tells by itself, or what this process knows of a personal one.

    Raises:
        InvalidToken, TokenExpired
    """
    if token.startswith(PERSONAL_PREFIX):
        return personal_tokens.recognise(token)
    user_id, session_id, expires_at = read_access_token(token)
    return Shown(user_id=user_id, session_id=session_id, expires_at=expires_at)


def authenticate(token: str) -> Actor:
    """The caller behind an access token or a personal one, as the database says: nothing is remembered.

    Raises:
        InvalidToken, TokenExpired, TokenRevoked
    """
    if token.startswith(PERSONAL_PREFIX):
        return personal_tokens.authenticate(token)
    user_id, session_id, expires_at = read_access_token(token)
    row = queries.active_user_of_session(user_id, session_id)
    if row is None:
        raise TokenRevoked("The session of this token has ended.")
    return Actor(
        user_id=row.id,
        role=row.role,
        username=row.username,
        timezone=row.timezone,
        session_id=session_id,
        expires_at=expires_at,
    )


def _new_pair(settings: Settings, user: User, sign_in: SignInSession) -> TokenPair:
    refresh_token = new_opaque_token(REFRESH_PREFIX)
    session().add(RefreshToken(session_id=sign_in.id, token_hash=hash_token(refresh_token)))
    session().flush()
    lifetime = timedelta(minutes=settings.access_token_minutes)
    return TokenPair(
        access_token=new_access_token(user_id=user.id, session_id=sign_in.id, lifetime=lifetime),
        refresh_token=refresh_token,
        expires_in=int(lifetime.total_seconds()),
        user=user,
    )


def forget_ended_sessions() -> None:
    """Remove sessions and one-time tokens that ended a while ago, spent refresh tokens, old failures."""
    throttle.forget_old_failures(settings=runtime_settings())
    one_time.forget_closed_tokens()
    before = clock.now() - KEEP_ENDED
    # As long as a session may last unused: a copy of a spent token may be shown on its last day.
    settings = runtime_settings()
    spent_before = clock.now() - max(KEEP_ENDED, timedelta(days=settings.refresh_token_days))
    ended = sa.or_(SignInSession.revoked_at < before, SignInSession.expires_at < before)
    for statement in (
        sa.delete(SignInSession).where(ended),
        sa.delete(RefreshToken).where(RefreshToken.spent_at < spent_before),
    ):
        session().execute(statement.execution_options(synchronize_session=False))
