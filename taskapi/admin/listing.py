"""Everybody's schedules and runs, each with whose it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from taskapi.accounts import service as accounts
from taskapi.core.access import Actor
from taskapi.core.paging import Page, PageRequest
from taskapi.schedules import runs
from taskapi.schedules import service as schedules

if TYPE_CHECKING:
    from taskapi.accounts.models import User
    from taskapi.schedules.models import Run, Schedule

T = TypeVar("T", "Run", "Schedule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned(Generic[T]):
    """A thing and its owner, who may have closed their account."""

    thing: T
    owner: "User | None"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.thing, name)


def list_schedules(*, actor: Actor, page: PageRequest, **filters: Any) -> "Page[Owned[Schedule]]":
    """See ``schedules.queries`` for the filters; the actor is an administrator."""
    found = schedules.list_schedules(actor=actor, page=page, **filters)
    return found.with_items(_with_owners(found.items))


def list_runs(*, actor: Actor, page: PageRequest, **filters: Any) -> "Page[Owned[Run]]":
    """See ``schedules.run_queries`` for the filters; the actor is an administrator."""
    found = runs.list_runs(actor=actor, page=page, **filters)
    return found.with_items(_with_owners(found.items))


def _with_owners(things: Sequence[T]) -> list[Owned[T]]:
    owners = accounts.find_users(user_ids={thing.owner_id for thing in things})
    return [Owned(thing=thing, owner=owners.get(thing.owner_id)) for thing in things]
