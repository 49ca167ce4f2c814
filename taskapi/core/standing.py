"""Whether who was let in may stay: asked again and again of those whose connection stays open."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from taskapi.core.access import Actor


@dataclass(frozen=True, slots=True)
class Credential:
    """What somebody was let in by: a session, or a personal access token."""

    user_id: UUID
    session_id: UUID | None = None
    token_id: UUID | None = None


FindStanding: TypeAlias = Callable[[Collection[Credential]], Mapping[Credential, Actor]]
FindActors: TypeAlias = Callable[[Collection[UUID]], Mapping[UUID, Actor]]
QueueUp: TypeAlias = Callable[[UUID], None]

_find_standing: FindStanding | None = None
_find_actors: FindActors | None = None
_queue_up: QueueUp | None = None


def set_standing(find_standing: FindStanding, find_actors: FindActors, queue_up: QueueUp) -> None:
    """Say how ``standing_of`` and ``actors_of`` find out, and what ``queue_up`` locks."""
    global _find_standing, _find_actors, _queue_up
    _find_standing, _find_actors, _queue_up = find_standing, find_actors, queue_up


def credential_of(actor: Actor) -> Credential:
    """What the actor was let in by."""
    return Credential(actor.user_id, actor.session_id, actor.token_id)


def standing_of(credentials: Collection[Credential]) -> Mapping[Credential, Actor]:
    """Who they are now, for those that still let somebody in; one query for all of a sort.

    It does not judge when an access token expires: that is ``Actor.expires_at`` of who showed it.
    """
    assert _find_standing is not None, "set_standing() comes first"
    return _find_standing(credentials)


def actors_of(user_ids: Collection[UUID]) -> Mapping[UUID, Actor]:
    """Active users as who does something while they are not there."""
    assert _find_actors is not None, "set_standing() comes first"
    return _find_actors(user_ids)


def queue_up(user_id: UUID) -> None:
    """Wait for what else asks this for the user, and keep it waiting until the transaction ends.

    Nobody closes their account meanwhile.

    Raises:
        Unauthorized: it is closed, or switched off.
    """
    assert _queue_up is not None, "set_standing() comes first"
    _queue_up(user_id)
