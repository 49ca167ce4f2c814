"""What people can follow: which things, who sees what an event tells of, and how a thing is shown.

Rooms say it of their things; the changes feed, live events and webhooks ask.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from taskapi.core.access import Actor
from taskapi.core.events import Event
from taskapi.core.visibility import sees_everything

# Readers who are not named one by one.
EVERYBODY, ADMINISTRATORS = UUID(int=1), UUID(int=2)
# Who sees everybody's tasks: administrators, and with TASK_VISIBILITY=team all.
TEAM = UUID(int=3)


@dataclass(frozen=True, slots=True)
class Readers:
    """Who sees the thing that an event tells of.

    Attributes:
        now: users and circles that see it.
        formerly: users who saw it until this event.
    """

    now: frozenset[UUID]
    formerly: frozenset[UUID] = frozenset()


# By the id of the event.
FindReaders: TypeAlias = Callable[[Sequence[Event]], Mapping[UUID, Readers]]
# By the id of the thing, as the API answers it; a thing that is gone is left out.
Show: TypeAlias = Callable[[Collection[UUID]], Mapping[UUID, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class FollowedKind:
    """A kind of things, such as ``task``, whose events may be told to people."""

    name: str
    find_readers: FindReaders
    show: Show
    ages_lists: bool = False


_kinds: dict[str, FollowedKind] = {}


def let_follow(name: str, *, find_readers: FindReaders, show: Show, ages_lists: bool = False) -> None:
    """Tell people of events whose ``subject_type`` is ``name``.

    Args:
        find_readers: asked when events are relayed and again when they are told: who sees it then.
        show: asked when events are told.
        ages_lists: the readers have lists or figures that are kept for a while, and are old then.
    """
    _kinds[name] = FollowedKind(name, find_readers, show, ages_lists)


def ages_lists(event: Event) -> bool:
    """Whether what the event tells of makes lists old that are kept for its readers."""
    kind = _kinds.get(event.subject_type)
    return kind is not None and kind.ages_lists


def followed_kinds() -> Collection[str]:
    """The kinds of things whose events are told."""
    return _kinds.keys()


def owners_only(events: Sequence[Event]) -> Mapping[UUID, Readers]:
    """Readers of what is its owner's alone."""
    return {event.id: Readers(frozenset({event.owner_id})) for event in events if event.owner_id}


def owners_and_administrators(events: Sequence[Event]) -> Mapping[UUID, Readers]:
    """Readers of what its owner and all administrators see."""
    return {
        event.id: Readers(frozenset({ADMINISTRATORS, *filter(None, (event.owner_id,))})) for event in events
    }


def readers_of(events: Iterable[Event]) -> dict[UUID, Readers]:
    """Who sees what the events tell of, by the event's id; what nobody may follow is left out."""
    found: dict[UUID, Readers] = {}
    for name, same_kind in _by_kind(events).items():
        found |= _kinds[name].find_readers(same_kind)
    return found


def shown_now(events: Iterable[Event]) -> dict[UUID, dict[str, Any]]:
    """The things that the events tell of, as they are now, by the event's id; what is gone is left out."""
    found: dict[UUID, dict[str, Any]] = {}
    for name, same_kind in _by_kind(events).items():
        things = _kinds[name].show({event.subject_id for event in same_kind})
        found |= {event.id: things[event.subject_id] for event in same_kind if event.subject_id in things}
    return found


def names_of(actor: Actor) -> frozenset[UUID]:
    """The actor and the circles that the actor belongs to, as readers."""
    circles = [EVERYBODY]
    circles += [ADMINISTRATORS] if actor.is_admin else []
    circles += [TEAM] if sees_everything(actor) else []
    return frozenset({actor.user_id, *circles})


def _by_kind(events: Iterable[Event]) -> dict[str, list[Event]]:
    kinds: dict[str, list[Event]] = {}
    for event in events:
        if event.subject_type in _kinds:
            kinds.setdefault(event.subject_type, []).append(event)
    return kinds
