"""Versions of what people see and of who they are: what was kept is right as long as they have not changed.

They are hints in Redis and are renewed right after the commit of a change, before whoever made it
is answered or anybody is told, and once more by the relay of events: a process that dies between
the two is made up for. A process that could not renew one believes nothing that was kept until it
has renewed the version that all others depend on.
"""

from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core.access import Actor
from taskapi.core.db import Base, before_commit, first_on_commit
from taskapi.core.events import Event
from taskapi.core.following import EVERYBODY, TEAM
from taskapi.core.hints import Hints, Question, shared_hints
from taskapi.core.visibility import sees_everything

# Whatever is kept depends on it: the database was replaced, or somebody missed a change.
EPOCH = "epoch"


class DataVersion(Base):
    """Not used any more: it is there for processes that still read it while an installation is upgraded."""

    __tablename__ = "data_versions"

    key: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    version: Mapped[int] = mapped_column(sa.BigInteger, default=1)


class _Missed:
    """The last time that this process could not renew versions, and the last that it has made up for."""

    def __init__(self) -> None:
        self.last = self.made_up_for = object()


def touch(user_ids: Iterable[UUID | None]) -> None:
    """What these users see changes with the transaction; those who see everything see it, too."""
    for user_id in {*user_ids, TEAM}:
        if user_id is not None:
            before_commit(_renew_after_commit, _seen_by(user_id))


def touch_everybody() -> None:
    """What all users see changes with the transaction."""
    touch((EVERYBODY,))


def touch_standing(event: Event) -> None:
    """Who the event's owner is, or what lets them in, changes with the transaction."""
    if event.owner_id is not None:
        before_commit(_renew_after_commit, _standing_of(event.owner_id))


def leap() -> None:
    """Let nothing be believed that was kept before the transaction commits: the database was replaced."""
    before_commit(_renew_after_commit, EPOCH)


def versions_of_standing(user_id: UUID) -> tuple[str, str]:
    """The names of the versions that a user's kept standing depends on."""
    return EPOCH, _standing_of(user_id)


def versions_of_sight(user_id: UUID) -> tuple[str, str, str]:
    """The names of the versions that a user's kept answers may depend on."""
    return _seen_by(user_id), _seen_by(EVERYBODY), _seen_by(TEAM)


def sight_of(actor: Actor, versions: tuple[str, ...]) -> str:
    """What an answer that is kept for the actor depends on: who they are, and versions of what they see.

    Args:
        versions: of the standing, and then of the sight.
    """
    epoch, _, own, everybody, team = versions
    seen = team if sees_everything(actor) else f"{own}.{everybody}"
    return f"{epoch}.{seen} {actor.role} {actor.is_admin} {actor.timezone}"


def ask(question: Question) -> Hints | None:
    """What is known of a request; None if Redis is away, or if what it keeps cannot be believed."""
    return shared_hints().ask(question) if catch_up() else None


def catch_up() -> bool:
    """Make up for versions that could not be renewed; whether there are none left."""
    missed = _missed()
    # Read before: what is missed meanwhile stays missed.
    last = missed.last
    if last is missed.made_up_for:
        return True
    if not shared_hints().renew([EPOCH]):
        return False
    missed.made_up_for = last
    return True


def _renew_after_commit(names: set[str]) -> None:
    first_on_commit(_renew, names)


def _renew(names: set[str]) -> None:
    if not shared_hints().renew(names):
        _missed().last = object()


def _missed() -> _Missed:
    found: _Missed = current_app.extensions.setdefault("taskapi_missed_versions", _Missed())
    return found


def _seen_by(reader: UUID) -> str:
    return f"seen/{reader.hex}"


def _standing_of(user_id: UUID) -> str:
    return f"standing/{user_id.hex}"
