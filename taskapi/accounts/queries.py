"""Reads of users and sessions."""

from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts.models import RefreshToken, SignInSession, User
from taskapi.core.db import db, session


def fold(text: str) -> str:
    """The form in which names are compared: case does not matter."""
    return text.strip().casefold()


def find_user(login: str) -> User | None:
    """The user with this e-mail address or username; an address is never another's username."""
    key = fold(login)
    column = User.email_key if "@" in key else User.username_key
    return session().scalar(sa.select(User).where(column == key))


def active_user_of_session(user_id: UUID, session_id: UUID) -> sa.Row[UUID, str, str, str] | None:
    """The identity behind an access token, or None when its session or account has ended.

    It is read on a connection of its own: no transaction is left open around the request.
    """
    statement = (
        sa.select(User.id, User.role, User.username, User.timezone)
        .join(SignInSession, SignInSession.user_id == User.id)
        .where(
            User.id == user_id,
            User.is_active,
            SignInSession.id == session_id,
            SignInSession.revoked_at.is_(None),
        )
    )
    with db.engine.connect() as connection:
        return connection.execute(statement).one_or_none()


def lock_refresh_token(token_hash: str) -> tuple[RefreshToken, SignInSession, User] | None:
    """The token with its session and user, its session locked so that exchanges queue up."""
    row = session().execute(
        sa.select(RefreshToken, SignInSession, User)
        .join(SignInSession, SignInSession.id == RefreshToken.session_id)
        .join(User, User.id == SignInSession.user_id)
        .where(RefreshToken.token_hash == token_hash)
        .with_for_update(of=SignInSession)
    )
    found = row.one_or_none()
    return None if found is None else (found[0], found[1], found[2])


def list_users(*, role: str | None = None) -> list[User]:
    statement = sa.select(User).order_by(User.created_at, User.id)
    if role is not None:
        statement = statement.where(User.role == role)
    return list(session().scalars(statement))


def lock_user(user_id: UUID) -> User | None:
    """The user as they are now, locked until the transaction ends so that changes queue up."""
    statement = sa.select(User).where(User.id == user_id).with_for_update()
    return session().scalar(statement.execution_options(populate_existing=True))


def username_exists(key: str) -> bool:
    return session().scalar(sa.select(sa.exists().where(User.username_key == key))) is True
