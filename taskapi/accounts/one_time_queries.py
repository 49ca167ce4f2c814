"""Reads and conditional updates of one-time tokens."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts.models import OneTimeToken, User
from taskapi.core.db import db, in_transaction, session


def find_open_by_id(token_id: UUID, *, at: datetime) -> OneTimeToken | None:
    """The token, if it works for an active user."""
    statement = sa.select(OneTimeToken).join(User, User.id == OneTimeToken.user_id)
    return session().scalar(statement.where(OneTimeToken.id == token_id, User.is_active, *_is_open(at)))


def owner_of_open(
    token_hash: str, purpose: str, *, at: datetime
) -> "sa.Row[UUID, str, str, str | None] | None":
    """Id, e-mail address, username and full name of the active user whose open token this is.

    Outside of a transaction it is read on a connection of its own: none is left open while a
    password is hashed.
    """
    mine = (OneTimeToken.token_hash == token_hash, OneTimeToken.purpose == purpose, User.is_active)
    statement = (
        sa.select(User.id, User.email, User.username, User.full_name)
        .join(OneTimeToken, OneTimeToken.user_id == User.id)
        .where(*mine, *_is_open(at))
    )
    if in_transaction():
        return session().execute(statement).one_or_none()
    with db.engine.connect() as connection:
        return connection.execute(statement).one_or_none()


def use(token_hash: str, purpose: str, *, at: datetime) -> bool:
    """Mark an open token as used; of two at the same moment one succeeds."""
    mine = (OneTimeToken.token_hash == token_hash, OneTimeToken.purpose == purpose)
    statement = (
        sa.update(OneTimeToken)
        .where(*mine, *_is_open(at))
        .values(used_at=at)
        .returning(OneTimeToken.id)
        .execution_options(synchronize_session=False)
    )
    return session().scalar(statement) is not None


def count_issued(user_id: UUID, purpose: str, *, since: datetime) -> int:
    mine = (OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose)
    statement = sa.select(sa.func.count()).select_from(OneTimeToken)
    return session().execute(statement.where(*mine, OneTimeToken.created_at > since)).scalar_one()


def _is_open(at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return OneTimeToken.used_at.is_(None), OneTimeToken.expires_at > at
