"""What rooms do when an account is closed, switched off or looked at by an administrator.

Each room that keeps a person's things says what becomes of them, how they are handed over to
somebody else, and how many there are.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.db import session


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of one sort of a person's things.

    Attributes:
        outcome: a past participle, such as ``deleted`` or ``handed_over``.
        bytes: what they take in the store, where they do.
    """

    thing: str
    outcome: str
    count: int
    bytes: int | None = None


# The last argument is who does it: None for the operator, from the shell.
Hook: TypeAlias = Callable[[UUID, Actor | None], None]
HandOver: TypeAlias = Callable[[UUID, UUID, Actor | None], None]
Switch: TypeAlias = Callable[[UUID, bool, Actor | None], None]
Foresee: TypeAlias = Callable[[UUID, UUID | None], Sequence[Fate]]
# By the name of the things, and then by whose they are.
Count: TypeAlias = Callable[[Collection[UUID]], Mapping[str, Mapping[UUID, int]]]

# What is begun now, how many were before it, and how many there are.
OnStep: TypeAlias = Callable[[str, int, int], None]

_hooks: dict[str, Hook] = {}
_reclaimers: dict[str, Hook] = {}
_handovers: dict[str, HandOver] = {}
_forecasts: dict[str, Foresee] = {}
_switches: dict[str, Switch] = {}
_counts: dict[str, Count] = {}


def unwatched(_name: str, _number: int, _of: int) -> None:
    """Nobody looks on."""


def on_account_closing(name: str, hook: Hook) -> None:
    """Call ``hook(user_id, actor)`` when an account is closed, in the transaction that closes it.

    Args:
        name: unique; the hooks are called in the order in which they were first named.
    """
    _hooks[name] = hook


def on_reclaiming(name: str, hook: Hook) -> None:
    """Call ``hook(user_id, None)`` when a reset proves for the first time whose the address is.

    Whoever made the account may have been somebody else, who is to be told of nothing more
    (Sudhodanan and Paverd, "Pre-hijacked accounts", USENIX Security 2022).
    """
    _reclaimers[name] = hook


def reclaim(user_id: UUID) -> None:
    """Call the hooks in the current transaction."""
    for hook in _reclaimers.values():
        hook(user_id, None)


def on_handing_over(name: str, hand_over: HandOver) -> None:
    """Call ``hand_over(user_id, heir_id, actor)`` before that, when the things are to go to somebody."""
    _handovers[name] = hand_over


def on_foreseeing(name: str, foresee: Foresee) -> None:
    """Ask ``foresee(user_id, heir_id)`` what both would do; ``heir_id`` is None if there is no heir."""
    _forecasts[name] = foresee


def all_deleted(thing: str, column: Any) -> Foresee:
    """Foresee that all things that name the user in this column are deleted, heir or not."""

    def foresee(user_id: UUID, _heir_id: UUID | None) -> Sequence[Fate]:
        number = session().scalar(sa.select(sa.func.count()).where(column == user_id)) or 0
        return [Fate(thing=thing, outcome="deleted", count=number)]

    return foresee


def on_account_switching(name: str, switch: Switch) -> None:
    """Call ``switch(user_id, is_active, actor)`` when an account is switched off, or on again."""
    _switches[name] = switch


def on_counting(name: str, count: Count) -> None:
    """Ask ``count(user_ids)`` how many things each of the users has."""
    _counts[name] = count


def run_closing_hooks(
    *, user_id: UUID, actor: Actor | None, heir_id: UUID | None = None, on_step: OnStep = unwatched
) -> None:
    """Let every room do its part; what one raises leaves the account as it was."""
    steps: list[tuple[str, partial[None]]] = []
    if heir_id is not None:
        given = _handovers.items()
        steps += [(name, partial(hand_over, user_id, heir_id, actor)) for name, hand_over in given]
    steps += [(name, partial(hook, user_id, actor)) for name, hook in _hooks.items()]
    for number, (name, step) in enumerate(steps):
        on_step(name, number, len(steps))
        step()


def run_switch_hooks(*, user_id: UUID, is_active: bool, actor: Actor | None) -> None:
    """The same when an account is switched off, or on again."""
    for switch in _switches.values():
        switch(user_id, is_active, actor)


def foresee_closing(*, user_id: UUID, heir_id: UUID | None) -> list[Fate]:
    """What ``run_closing_hooks`` would do now; things of which there are none are left out."""
    fates = (fate for foresee in _forecasts.values() for fate in foresee(user_id, heir_id))
    return [fate for fate in fates if fate.count]


def count_things(user_ids: Collection[UUID]) -> dict[UUID, dict[str, int]]:
    """How many things of each sort each of the users has, 0 included."""
    counted = [sort for count in _counts.values() for sort in count(user_ids).items()]
    return {user_id: {name: numbers.get(user_id, 0) for name, numbers in counted} for user_id in user_ids}
