"""Closing an account: each room that keeps a person's things says what becomes of them."""

from collections.abc import Callable
from uuid import UUID

from taskapi.core.access import Actor

Hook = Callable[[UUID, Actor], None]

_hooks: dict[str, Hook] = {}


def on_account_closing(name: str, hook: Hook) -> None:
    """Call ``hook(user_id, actor)`` when an account is closed, in the transaction that closes it.

    Args:
        name: unique; the hooks are called in the order in which they were first named.
    """
    _hooks[name] = hook


def run_closing_hooks(*, user_id: UUID, actor: Actor) -> None:
    """Let every room do its part; what one raises leaves the account as it was."""
    for hook in _hooks.values():
        hook(user_id, actor)
