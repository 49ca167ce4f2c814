"""Reads of users and sessions."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts.models import PersonalToken, RefreshToken, SignInSession, User
from taskapi.accounts.schemas import DirectoryEntrySchema
from taskapi.core import clock
from taskapi.core.batches import batches
from taskapi.core.db import db, session
from taskapi.core.folding import normalized
from taskapi.core.json_sql import object_of
from taskapi.core.paging import Page, PageRequest, fetch_page
from taskapi.core.reading import read
from taskapi.core.together import require

# Statements that name so many users at most are kept compiled.
FEW = 10
# Asked with every request: to put it together takes longer than to ask it.
ACTIVE_USER_OF_SESSION = (
    sa.select(User.id, User.role, User.username, User.timezone)
    .join(SignInSession, SignInSession.user_id == User.id)
    .where(
        User.id == sa.bindparam("user"),
        User.is_active,
        SignInSession.id == sa.bindparam("session"),
        SignInSession.revoked_at.is_(None),
    )
)


def fold(text: str) -> str:
    """The form in which names are compared: neither case nor how letters are composed matters.

    Case folding takes some letters apart, so they are put together again after it.
    """
    return normal_form(normal_form(text).strip().casefold())


def normal_form(text: str) -> str:
    """Names that look alike become one (Unicode Annex 15, NFKC), such as full-width letters."""
    return normalized("NFKC", text)


def find_user(login: str) -> User | None:
    """The user with this e-mail address or username; an address is never another's username."""
    return session().scalar(sa.select(User).where(_is_called(login)))


def find_user_by_id(text: str) -> User | None:
    """The user with this id, if the text is one."""
    try:
        return session().get(User, UUID(text))
    except ValueError:
        return None


def _is_called(login: str) -> sa.ColumnElement[bool]:
    key = fold(login)
    column = User.email_key if "@" in key else User.username_key
    return column == key


def credentials_of(login: str) -> sa.Row[UUID, str, bool] | None:
    """Id, hash and ``is_active``, read on a connection of its own as ``password_hash_of``."""
    statement = sa.select(User.id, User.password_hash, User.is_active).where(_is_called(login))
    with db.engine.connect() as connection:
        return connection.execute(statement).one_or_none()


def password_hash_of(user_id: UUID) -> str | None:
    """The hash, read on a connection of its own: no transaction is open while it is compared."""
    with db.engine.connect() as connection:
        return connection.scalar(sa.select(User.password_hash).where(User.id == user_id))


def active_user_of_session(user_id: UUID, session_id: UUID) -> sa.Row[UUID, str, str, str] | None:
    """The identity behind an access token, or None when its session or account has ended.

    It is read on a connection of its own: no transaction is left open around the request.
    """
    with db.engine.connect() as connection:
        return connection.execute(ACTIVE_USER_OF_SESSION, {"user": user_id, "session": session_id}).first()


def names_of(user_id: UUID) -> sa.Row[str, str, str | None] | None:
    """E-mail address, username and full name, on a connection of its own as ``password_hash_of``."""
    statement = sa.select(User.email, User.username, User.full_name).where(User.id == user_id)
    with db.engine.connect() as connection:
        return connection.execute(statement).one_or_none()


def is_active_admin(user_id: UUID) -> bool:
    admin = sa.select(User.id).where(User.id == user_id, User.role == "admin", User.is_active)
    return session().scalar(admin) is not None


def is_active(user_id: UUID) -> bool:
    return session().scalar(sa.select(User.is_active).where(User.id == user_id)) is True


def stays_active(user_id: UUID, *, alone: bool = False) -> bool:
    """Whether the account is open; if so, nobody closes it until the transaction ends.

    Args:
        alone: others who ask this for the account wait, too.
    """
    # Shared: what users do at once need not queue up, but closing does (it takes FOR NO KEY UPDATE).
    statement = sa.select(User.is_active).where(User.id == user_id)
    return session().scalar(statement.with_for_update(read=not alone, key_share=alone)) is True


def lock_active(user_ids: Collection[UUID]) -> set[UUID]:
    """Those whose accounts are open, and stay so until the transaction ends (see ``stays_active``)."""
    if 0 < len(user_ids) <= FEW:
        return _ids(read(_lock_active, len(user_ids), **_named(user_ids)))
    return set(session().scalars(_lock_those(user_ids)))


def require_active(user_ids: Collection[UUID], judge: Callable[[set[UUID]], object]) -> None:
    """The same for few, when the transaction makes its inserts (``core/together``)."""
    number, named = len(user_ids), _named(user_ids)
    require(_lock_active, number, number=number, judge=lambda rows: judge(_ids(rows)), **named)


def _named(user_ids: Collection[UUID]) -> dict[str, UUID]:
    return {f"user_{place}": user_id for place, user_id in enumerate(user_ids)}


def _ids(rows: Sequence[Sequence[Any]]) -> set[UUID]:
    # As UUIDs on both databases.
    return {UUID(str(user_id)) for (user_id,) in rows}


def _lock_active(number: int) -> sa.Select[UUID]:
    return _lock_those([sa.bindparam(f"user_{place}", type_=sa.Uuid()) for place in range(number)])


def _lock_those(user_ids: Collection[Any]) -> sa.Select[UUID]:
    return active_ids().where(User.id.in_(user_ids)).order_by(User.id).with_for_update(read=True)


def active_ids() -> sa.Select[UUID]:
    return sa.select(User.id).where(User.is_active)


def find_users(user_ids: Collection[UUID]) -> dict[UUID, User]:
    users = session().scalars(sa.select(User).where(User.id.in_(user_ids)))
    return {user.id: user for user in users}


def directory_entry(user_id: sa.ColumnElement[UUID | None]) -> sa.ColumnElement[Any]:
    """JSON of the user with this id, as everybody may see them; null if there is none."""
    entry = object_of(DirectoryEntrySchema, User.__table__.c)
    return sa.select(entry).where(User.id == user_id).scalar_subquery()


def find_active(names: Collection[str]) -> dict[str, UUID]:
    """Those of the e-mail addresses and usernames by which somebody active is called."""
    keys = {name: fold(name) for name in names}
    called = sa.or_(User.email_key.in_(keys.values()), User.username_key.in_(keys.values()))
    rows = session().execute(
        sa.select(User.id, User.email_key, User.username_key).where(called, User.is_active)
    )
    known = {key: row.id for row in rows for key in (row.email_key, row.username_key)}
    return {name: known[key] for name, key in keys.items() if key in known}


def usernames(user_ids: Collection[UUID]) -> dict[UUID, str]:
    names = sa.select(User.id, User.username)
    found: dict[UUID, str] = {}
    for ids in batches(list(user_ids)):
        rows = session().execute(names.where(User.id.in_(ids)))
        found |= {user_id: username for user_id, username in rows}  # noqa: C416 - rows are no pairs
    return found


def is_live() -> sa.ColumnElement[bool]:
    """Whether a session has neither ended nor expired."""
    return sa.and_(SignInSession.revoked_at.is_(None), SignInSession.expires_at > clock.now())


def is_live_session(session_id: UUID) -> bool:
    found = sa.exists().where(SignInSession.id == session_id, is_live())
    return session().scalar(sa.select(found)) is True


def delete_tokens(user_id: UUID) -> None:
    """Let none of a user's personal tokens work any more."""
    statement = sa.delete(PersonalToken).where(PersonalToken.user_id == user_id)
    session().execute(statement.execution_options(synchronize_session=False))


def end_sessions(user_id: UUID, *, except_for: UUID | None = None) -> None:
    """End all sessions of a user, or all but one; their tokens stop working at once."""
    mine = (SignInSession.user_id == user_id, SignInSession.revoked_at.is_(None))
    statement = sa.update(SignInSession).where(*mine).values(revoked_at=clock.now())
    if except_for is not None:
        statement = statement.where(SignInSession.id != except_for)
    session().execute(statement.execution_options(synchronize_session=False))


def addresses_of(user_id: UUID) -> Sequence[str | None]:
    """From where sessions of the user were last used, ended ones included while they are kept."""
    there = (SignInSession.user_id == user_id, SignInSession.address.is_not(None))
    with db.engine.connect() as connection:
        return connection.scalars(sa.select(SignInSession.address).where(*there).distinct()).all()


def name_keys_of(user_id: UUID) -> tuple[str, ...]:
    """The folded names by which the user signs in; none of somebody who is not there."""
    found = session().execute(sa.select(User.email_key, User.username_key).where(User.id == user_id))
    return tuple(found.one_or_none() or ())


def page_of_sessions(user_id: UUID, page: PageRequest) -> Page[SignInSession]:
    statement = sa.select(SignInSession).where(SignInSession.user_id == user_id, is_live())
    sorts = {"last_used_at": SignInSession.last_used_at}
    return fetch_page(
        session(),
        statement,
        request_=page,
        sorts=sorts,
        default_sort="-last_used_at",
        key=SignInSession.id,
    )


def find_session(user_id: UUID, session_id: UUID) -> SignInSession | None:
    """One of the user's live sessions."""
    mine = (SignInSession.id == session_id, SignInSession.user_id == user_id, is_live())
    return session().scalar(sa.select(SignInSession).where(*mine))


def page_of_directory(page: PageRequest, *, q: str) -> Page[User]:
    """Active users a part of whose username or full name is ``q``, whatever its case."""
    statement = sa.select(User).where(User.is_active)
    if q:
        pattern = in_any_case(q)
        statement = statement.where(
            sa.or_(User.username.regexp_match(pattern), User.full_name.regexp_match(pattern))
        )
    return fetch_page(
        session(),
        statement,
        request_=page,
        sorts={"username": User.username_key},
        default_sort="username",
        key=User.id,
    )


def in_any_case(text: str) -> str:
    """A pattern for the text in upper and lower case, with no other meaning.

    It spells both cases out: what lower() knows differs between databases and their locales.
    """
    return "".join(_cases_of(letter) for letter in text)


def _cases_of(letter: str) -> str:
    cases = {letter, letter.lower(), letter.upper(), letter.casefold(), letter.upper().lower()}
    single = sorted(case for case in cases if len(case) == 1)
    return f"[{''.join(single)}]" if len(single) > 1 else re.escape(letter)


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


def lock_user(user_id: UUID) -> User | None:
    """The user as they are now, locked until the transaction ends so that changes queue up."""
    statement = sa.select(User).where(User.id == user_id).with_for_update()
    return session().scalar(statement.execution_options(populate_existing=True))


def lock_users_and_admins(*user_ids: UUID) -> list[User]:
    """The users and all active administrators, locked in one order: of two who leave, one is the last."""
    is_admin = sa.and_(User.role == "admin", User.is_active)
    statement = sa.select(User).where(sa.or_(User.id.in_(user_ids), is_admin)).order_by(User.id)
    # Rows that refer to a user may be inserted meanwhile (FOR NO KEY UPDATE).
    statement = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    return list(session().scalars(statement))


def username_exists(key: str) -> bool:
    return session().scalar(sa.select(sa.exists().where(User.username_key == key))) is True
