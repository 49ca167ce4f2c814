"""Reads of personal access tokens, and when they were used."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts.models import PersonalToken, User
from taskapi.core.db import db, session
from taskapi.core.paging import Page, PageRequest, fetch_page


def page_of_tokens(user_id: UUID, page: PageRequest) -> Page[PersonalToken]:
    statement = sa.select(PersonalToken).where(PersonalToken.user_id == user_id)
    return fetch_page(
        session(),
        statement,
        request_=page,
        sorts={"created_at": PersonalToken.created_at},
        default_sort="-created_at",
        key=PersonalToken.id,
    )


def find_token(user_id: UUID, token_id: UUID) -> PersonalToken | None:
    mine = (PersonalToken.id == token_id, PersonalToken.user_id == user_id)
    return session().scalar(sa.select(PersonalToken).where(*mine))


def count_tokens(user_id: UUID) -> int:
    statement = sa.select(sa.func.count()).select_from(PersonalToken)
    return session().execute(statement.where(PersonalToken.user_id == user_id)).scalar_one()


def token_with_owner(token_hash: str) -> Any:
    """A personal access token with its owner's identity, on a connection of its own."""
    statement = (
        sa.select(
            *(User.id, User.role, User.username, User.timezone, User.is_active),
            PersonalToken.id.label("token_id"),
            *(PersonalToken.scopes, PersonalToken.expires_at, PersonalToken.last_used_at),
        )
        .join(PersonalToken, PersonalToken.user_id == User.id)
        .where(PersonalToken.token_hash == token_hash)
    )
    with db.engine.connect() as connection:
        return connection.execute(statement).one_or_none()


def note_use_of_token(token_id: UUID, *, now: datetime, unless_after: datetime) -> None:
    """Write when a token was used, in a transaction of its own, unless somebody just did."""
    last = PersonalToken.last_used_at
    statement = sa.update(PersonalToken).where(
        PersonalToken.id == token_id, sa.or_(last.is_(None), last <= unless_after)
    )
    with db.engine.execution_options(taskapi_writes=True).begin() as connection:
        connection.execute(statement.values(last_used_at=now))
