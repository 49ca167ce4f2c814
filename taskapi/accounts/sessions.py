"""Rules of one's sessions: where one is signed in, and ending one from afar."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import queries
from taskapi.accounts.errors import SessionNotFound
from taskapi.accounts.models import SignInSession
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.digests import tag_of_used
from taskapi.core.events import record_event
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import ANY_VERSION, Precondition


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSession:
    """A sign-in as its owner sees it; ``current`` is the one that asks."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None
    current: bool

    @property
    def entity_tag(self) -> str:
        """Changes with each use of the session."""
        use = (self.last_used_at, self.expires_at, self.address, self.user_agent)
        return tag_of_used(self.id, use, self.current)


def list_sessions(*, actor: Actor, page: PageRequest) -> Page[ListedSession]:
    """One's live sessions, the last used first."""
    return queries.page_of_sessions(actor.user_id, page).map(lambda item: _as_listed(item, actor))


def get_session(*, actor: Actor, session_id: UUID) -> ListedSession:
    """One of one's live sessions.

    Raises:
        SessionNotFound: there is none, it is somebody else's, or it has ended.
    """
    found = queries.find_session(actor.user_id, session_id)
    if found is None:
        raise SessionNotFound
    return _as_listed(found, actor)


def _as_listed(item: SignInSession, actor: Actor) -> ListedSession:
    return ListedSession(
        id=item.id,
        created_at=item.created_at,
        last_used_at=item.last_used_at,
        expires_at=item.expires_at,
        address=item.address,
        user_agent=item.user_agent,
        current=item.id == actor.session_id,
    )


def end_session(*, actor: Actor, session_id: UUID, condition: Precondition = ANY_VERSION) -> None:
    """End one of one's sessions; its tokens stop working at once.

    Raises:
        SessionNotFound: there is none, it is somebody else's, or it has ended.
        PreconditionFailed: another one was meant.
    """
    mine = (SignInSession.id == session_id, SignInSession.user_id == actor.user_id, queries.is_live())
    ended = session().scalar(
        sa.update(SignInSession)
        .where(*mine)
        .values(revoked_at=clock.now())
        .returning(SignInSession.id)
        .execution_options(synchronize_session=False)
    )
    if ended is None:
        raise SessionNotFound
    condition.check_tag(session_id.hex)
    record_event("session.ended", subject=("session", ended), actor=actor, owner_id=actor.user_id)
