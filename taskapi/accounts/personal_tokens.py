"""Rules of personal access tokens: made by a person for a program, with chosen scopes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from taskapi.accounts import personal_token_queries as token_queries
from taskapi.accounts import queries
from taskapi.accounts.errors import (
    InvalidToken,
    TokenExpired,
    TokenNotFound,
    TokenRevoked,
    TooManyTokens,
    UserNotFound,
)
from taskapi.accounts.models import PersonalToken
from taskapi.accounts.tokens import PERSONAL_PREFIX, hash_token, new_opaque_token
from taskapi.core import clock
from taskapi.core.access import ALL_SCOPES, Actor, AdminOnly, Scope, Shown
from taskapi.core.db import session
from taskapi.core.digests import tag_of_used
from taskapi.core.errors import ValidationFailed
from taskapi.core.events import record_event
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.core.repeating import name_of

log = structlog.get_logger(__name__)

MAX_PER_USER = 100
LONGEST_LIFE = timedelta(days=3653)
USE_IS_NOTED_EVERY = timedelta(minutes=1)
# By the hash of a token: which it is, whose, and when its use was noted last. Neither of the first
# two ever changes; whether the token still lets somebody in is asked each time.
_known: dict[str, tuple[Shown, datetime]] = {}
MOST_KNOWN = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was just made: its secret is shown this once."""

    id: UUID
    name: str
    scopes: list[str]
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
    token: str

    @property
    def entity_tag(self) -> str:
        """As the token has it when it is read."""
        return tag_of_used(self.id, self.last_used_at)


def create_token(
    *, actor: Actor, name: str, scopes: Iterable[str], expires_at: datetime | None = None
) -> NewToken:
    """Make a token that may do what its scopes say, independent of each other, and no more.

    Raises:
        AdminOnly: only an administrator gives the scope ``admin``.
        ValidationFailed: ``expires_at`` is past, or more than ten years ahead.
        TooManyTokens: the user has 100.
    """
    _check_end(expires_at)
    # Locked, so that two requests at once do not both take the last place.
    user = queries.lock_user(actor.user_id)
    if user is None or not user.is_active:
        raise UserNotFound
    if "admin" in scopes and user.role != "admin":
        raise AdminOnly("Only an administrator may give the scope 'admin'.")
    if token_queries.count_tokens(user.id) >= MAX_PER_USER:
        raise TooManyTokens(f"You have {MAX_PER_USER} tokens; delete one first.")
    secret = new_opaque_token(PERSONAL_PREFIX)
    token = PersonalToken(
        user_id=user.id,
        name=name,
        scopes=sorted(set(scopes), key=("read", "write", "admin").index),
        token_hash=hash_token(secret),
        expires_at=expires_at,
    )
    session().add(token)
    session().flush()
    _record(actor, token.id, "token.created", after=_state(token))
    return NewToken(
        id=token.id,
        name=token.name,
        scopes=token.scopes,
        expires_at=token.expires_at,
        created_at=token.created_at,
        last_used_at=None,
        token=secret,
    )


def _check_end(expires_at: datetime | None) -> None:
    if expires_at is None:
        return
    if expires_at <= clock.now():
        raise ValidationFailed({"expires_at": ["This time is past."]})
    if expires_at > clock.now() + LONGEST_LIFE:
        raise ValidationFailed({"expires_at": ["Use ten years at most."]})


def list_tokens(*, actor: Actor, page: PageRequest) -> Page[PersonalToken]:
    """One's tokens, newest first."""
    return token_queries.page_of_tokens(actor.user_id, page)


def get_token(*, actor: Actor, token_id: UUID) -> PersonalToken:
    """One of one's tokens.

    Raises:
        TokenNotFound: there is none, or it is somebody else's.
    """
    token = token_queries.find_token(actor.user_id, token_id)
    if token is None:
        raise TokenNotFound
    return token


def delete_token(*, actor: Actor, token_id: UUID, condition: Precondition = ANY_VERSION) -> None:
    """Delete one of one's tokens; it stops working at once.

    Raises:
        TokenNotFound, PreconditionFailed
    """
    mine = (PersonalToken.id == token_id, PersonalToken.user_id == actor.user_id)
    name = session().scalar(sa.delete(PersonalToken).where(*mine).returning(PersonalToken.name))
    if name is None:
        raise TokenNotFound
    condition.check_tag(token_id.hex)
    _record(actor, token_id, "token.deleted", before={"name": name})


def recognise(token: str) -> Shown | None:
    """Which token it is, and whose; None if the database must be asked, as when its use is to be noted."""
    shown, noted_at = _known.get(hash_token(token), (None, None))
    return None if noted_at is None or _is_to_be_noted(noted_at) else shown


def _is_to_be_noted(noted_at: datetime | None) -> bool:
    return noted_at is None or clock.now() - noted_at >= USE_IS_NOTED_EVERY


def authenticate(token: str) -> Actor:
    """The owner of a token, with the scopes that it was given and that their role still allows.

    Raises:
        InvalidToken: unknown, or deleted.
        TokenRevoked: its owner is inactive.
        TokenExpired
    """
    token_hash = hash_token(token)
    found = token_queries.token_with_owner(token_hash)
    if found is None:
        raise InvalidToken("The token is not known.")
    if not found.is_active:
        raise TokenRevoked("The account of this token is not active.")
    now = clock.now()
    if found.expires_at is not None and now >= found.expires_at:
        raise TokenExpired("The token has expired; make a new one.")
    noted_at = _note_use(found.token_id, now) if _is_to_be_noted(found.last_used_at) else found.last_used_at
    if noted_at is not None:
        _remember(token_hash, Shown(user_id=found.id, token_id=found.token_id), noted_at)
    return Actor(
        user_id=found.id,
        role=found.role,
        username=found.username,
        timezone=found.timezone,
        token_id=found.token_id,
        expires_at=found.expires_at,
        scopes=allowed_scopes(found.scopes, role=found.role),
    )


def allowed_scopes(given: Sequence[str], *, role: str) -> frozenset[Scope]:
    """What a token may do: what it was given, as far as its owner's role still allows it."""
    allowed = ALL_SCOPES if role == "admin" else ALL_SCOPES - {"admin"}
    return cast("frozenset[Scope]", frozenset(given)) & allowed


def _remember(token_hash: str, shown: Shown, noted_at: datetime) -> None:
    if len(_known) >= MOST_KNOWN:
        _known.clear()
    _known[token_hash] = shown, noted_at


def _note_use(token_id: UUID, now: datetime) -> datetime | None:
    try:
        token_queries.note_use_of_token(token_id, now=now, unless_after=now - USE_IS_NOTED_EVERY)
    except SQLAlchemyError as error:
        # When it was last used is worth knowing, but not worth refusing the request.
        log.warning("token.use_not_noted", token=str(token_id), error=name_of(error))
        return None
    return now


def _record(
    actor: Actor,
    token_id: UUID,
    event: str,
    *,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    subject = ("token", token_id)
    record_event(event, subject=subject, actor=actor, owner_id=actor.user_id, before=before, after=after)


def _state(token: PersonalToken) -> dict[str, object]:
    end = token.expires_at
    return {"name": token.name, "scopes": token.scopes, "expires_at": end.isoformat() if end else None}
