"""Who sees what, where a lower room shows its things because of a higher room's."""

from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.runtime import runtime_settings

VisibleIds: TypeAlias = Callable[[Actor], sa.Select[UUID]]
IdsInUse: TypeAlias = Callable[[], sa.Select[UUID]]

_visible: dict[str, VisibleIds] = {}
_made: dict[str, VisibleIds] = {}
_in_use: dict[str, IdsInUse] = {}


def set_visible_ids(kind: str, visible: VisibleIds) -> None:
    """Say which things of a kind, such as ``task``, an actor sees: a query of their ids."""
    _visible[kind] = visible


def set_made_by(kind: str, made: VisibleIds) -> None:
    """Say which of them an actor made."""
    _made[kind] = made


def set_in_use(kind: str, in_use: IdsInUse) -> None:
    """Say which of them are not done with, so that what hangs on them is kept."""
    _in_use[kind] = in_use


def visible_ids(kind: str, actor: Actor) -> sa.Select[UUID]:
    """The ids of the things of this kind that the actor sees."""
    return _visible[kind](actor)


def made_by(kind: str, actor: Actor) -> sa.Select[UUID]:
    """The ids of the things of this kind that the actor made."""
    return _made[kind](actor)


def in_use(kind: str) -> sa.Select[UUID]:
    """The ids of the things of this kind that are not done with."""
    return _in_use[kind]()


def sees_everything(actor: Actor) -> bool:
    """Whether everybody's tasks, and what belongs to them, are the actor's to see."""
    return actor.is_admin or runtime_settings().team_sees_tasks
