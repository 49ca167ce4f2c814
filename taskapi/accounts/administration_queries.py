"""Reads of accounts for those who administrate them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts.models import PersonalToken, SignInSession, User
from taskapi.accounts.queries import in_any_case, is_live
from taskapi.core.db import session
from taskapi.core.paging import Page, PageRequest, fetch_page

SORTS: dict[str, Any] = {
    "created_at": User.created_at,
    "email": User.email_key,
    "username": User.username_key,
    "role": User.role,
}


def page_of_users(page: PageRequest, **filters: Any) -> Page[User]:
    """Accounts, the newest first; see ``_fitting`` for the filters."""
    statement = sa.select(User).where(*_fitting(**filters))
    return fetch_page(
        session(), statement, request_=page, sorts=SORTS, default_sort="-created_at", key=User.id
    )


def all_users(**filters: Any) -> Sequence[User]:
    """Accounts, the oldest first."""
    statement = sa.select(User).where(*_fitting(**filters)).order_by(User.created_at, User.id)
    return session().scalars(statement).all()


def _fitting(
    *,
    role: Sequence[str] = (),
    is_active: bool | None = None,
    closed: bool = False,
    q: str | None = None,
    created_before: datetime | None = None,
    created_after: datetime | None = None,
) -> list[sa.ColumnElement[bool]]:
    """``q`` is a part of the e-mail address, username or full name, whatever its case."""
    found: list[sa.ColumnElement[bool]] = []
    found.append(User.closed_at.is_not(None) if closed else User.closed_at.is_(None))
    if role:
        found.append(User.role.in_(role))
    if is_active is not None:
        found.append(User.is_active.is_(is_active))
    if q:
        pattern = in_any_case(q)
        names = (User.email, User.username, User.full_name)
        found.append(sa.or_(*(name.regexp_match(pattern) for name in names)))
    if created_before is not None:
        found.append(User.created_at < created_before)
    if created_after is not None:
        found.append(User.created_at >= created_after)
    return found


def count_users(*, new_since: datetime) -> dict[str, int]:
    """How many accounts there are that are not closed, and of which sorts."""
    count = sa.func.count()
    sorts = {
        "total": count,
        "active": count.filter(User.is_active),
        "admins": count.filter(User.is_active, User.role == "admin"),
        "new_last_7_days": count.filter(User.created_at >= new_since),
    }
    statement = sa.select(*(number.label(name) for name, number in sorts.items()))
    return dict(session().execute(statement.where(User.closed_at.is_(None))).one()._mapping)


def last_sign_ins(user_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """When each of the users signed in last, as far as the session is still kept."""
    # A session that is over as it begins only vouches for a device: nobody signed in.
    real = sa.or_(SignInSession.revoked_at.is_(None), SignInSession.revoked_at != SignInSession.expires_at)
    statement = sa.select(SignInSession.user_id, sa.func.max(SignInSession.created_at))
    statement = statement.where(SignInSession.user_id.in_(user_ids), real)
    rows = session().execute(statement.group_by(SignInSession.user_id))
    return {user_id: at for user_id, at in rows}  # noqa: C416 - rows are no pairs


def count_ways_in(user_id: UUID) -> dict[str, int]:
    """How many personal tokens and live sessions a user has."""
    tokens = sa.select(sa.func.count()).where(PersonalToken.user_id == user_id)
    live = sa.select(sa.func.count()).where(SignInSession.user_id == user_id, is_live())
    row = session().execute(sa.select(tokens.scalar_subquery(), live.scalar_subquery())).one()
    return {"tokens": row[0], "sessions": row[1]}


def names_beginning_with(text: str, *, limit: int) -> Sequence[str]:
    """Usernames of accounts that are not closed, for completing what somebody types."""
    found = sa.select(User.username).where(
        User.closed_at.is_(None), User.username_key.startswith(text, autoescape=True)
    )
    return session().scalars(found.order_by(User.username_key).limit(limit)).all()
