"""Whether sessions and tokens that let somebody in a while ago still do, and whom."""

from collections.abc import Collection, Mapping
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import queries
from taskapi.accounts.actors import actor_of
from taskapi.accounts.errors import TokenRevoked
from taskapi.accounts.models import PersonalToken, SignInSession, User
from taskapi.accounts.personal_tokens import allowed_scopes
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.batches import batches
from taskapi.core.db import session
from taskapi.core.standing import Credential


def find_standing(credentials: Collection[Credential]) -> Mapping[Credential, Actor]:
    """Who they are now, for the credentials that have not ended."""
    sessions = [one.session_id for one in credentials if one.session_id]
    tokens = [one.token_id for one in credentials if one.token_id]
    return {**_behind_sessions(sessions), **_behind_tokens(tokens)}


def find_actors(user_ids: Collection[UUID]) -> Mapping[UUID, Actor]:
    """Active users as who does something while they are not there."""
    users = queries.find_users(user_ids)
    return {user.id: actor_of(user) for user in users.values() if user.is_active}


def queue_up(user_id: UUID) -> None:
    """Lock the account, which must be open, until the transaction ends.

    Raises:
        TokenRevoked
    """
    if not queries.stays_active(user_id, alone=True):
        raise TokenRevoked("The session has ended.")


def _behind_sessions(ids: list[UUID]) -> dict[Credential, Actor]:
    found: dict[Credential, Actor] = {}
    for batch in batches(ids):
        statement = (
            sa.select(SignInSession.id, User.id, User.role, User.username, User.timezone)
            .join(User, User.id == SignInSession.user_id)
            .where(SignInSession.id.in_(batch), SignInSession.revoked_at.is_(None), User.is_active)
        )
        for session_id, user_id, role, username, timezone in session().execute(statement):
            actor = Actor(
                user_id=user_id, role=role, username=username, timezone=timezone, session_id=session_id
            )
            found[Credential(user_id, session_id=session_id)] = actor
    return found


def _behind_tokens(ids: list[UUID]) -> dict[Credential, Actor]:
    found: dict[Credential, Actor] = {}
    now = clock.now()
    for batch in batches(ids):
        statement = (
            sa.select(PersonalToken, User)
            .join(User, User.id == PersonalToken.user_id)
            .where(PersonalToken.id.in_(batch), User.is_active)
        )
        for token, user in session().execute(statement):
            if token.expires_at is not None and token.expires_at <= now:
                continue
            found[Credential(user.id, token_id=token.id)] = Actor(
                user_id=user.id,
                role=user.role,
                username=user.username,
                timezone=user.timezone,
                token_id=token.id,
                expires_at=token.expires_at,
                scopes=allowed_scopes(token.scopes, role=user.role),
            )
    return found
