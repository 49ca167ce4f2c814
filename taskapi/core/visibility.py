"""Who sees what, where a lower room shows its things because of a higher room's."""

from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.runtime import runtime_settings

VisibleIds: TypeAlias = Callable[[Actor], sa.Select[UUID]]

_visible: dict[str, VisibleIds] = {}


def set_visible_ids(kind: str, visible: VisibleIds) -> None:
    """Say which things of a kind, such as ``task``, an actor sees: a query of their ids."""
    _visible[kind] = visible


def visible_ids(kind: str, actor: Actor) -> sa.Select[UUID]:
    """The ids of the things of this kind that the actor sees."""
    return _visible[kind](actor)


def sees_everything(actor: Actor) -> bool:
    """Whether everybody's tasks, and what belongs to them, are the actor's to see."""
    return actor.is_admin or runtime_settings().team_sees_tasks
