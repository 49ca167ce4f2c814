"""Which actions are installed. A room or a plugin adds its own with ``register``."""

from difflib import get_close_matches
from typing import Any

import marshmallow as ma

from taskapi.core.errors import ValidationFailed
from taskapi.core.schemas import flatten_messages
from taskapi.schedules.actions.base import Action, UnknownAction

_actions: dict[str, Action] = {}


def register(action: Action) -> None:
    """Install an action; one of the same name is replaced."""
    _actions[action.name] = action


def unregister(name: str) -> None:
    """Take an action away again; its schedules then fail with ``unknown_action``."""
    _actions.pop(name, None)


def is_installed(name: str) -> bool:
    return name in _actions


def installed() -> list[Action]:
    """All actions, by name."""
    return [_actions[name] for name in sorted(_actions)]


def find(name: str) -> Action:
    """The action of this name.

    Raises:
        UnknownAction: naming one that may have been meant.
    """
    action = _actions.get(name)
    if action is None:
        close = get_close_matches(name, _actions, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise UnknownAction({"action": [f"There is no action {name!r}.{hint}"]})
    return action


def waiting_time(name: str, params: dict[str, Any]) -> float | None:
    """How many seconds a run waits for its signal; None for an action that workers do."""
    action = _actions.get(name)
    if action is None or action.waits is None:
        return None
    return action.waits(action.params().load(params))


def may_wait(name: str) -> bool:
    """Whether runs of this action wait for a signal instead of a worker."""
    action = _actions.get(name)
    return action is not None and action.waits is not None


def is_threaded(name: str) -> bool:
    """Whether many runs of this action may be worked on at a time in one process."""
    action = _actions.get(name)
    return action is not None and action.threaded


def check_params(action: Action, params: dict[str, Any]) -> dict[str, Any]:
    """Refuse params that the action's schema or its ``check`` refuses; they are kept as they were sent.

    Returns:
        The params as the action is to read them.

    Raises:
        ValidationFailed: with the path of each field below ``params``.
    """
    try:
        loaded: dict[str, Any] = action.params().load(params)
        if action.check is not None:
            action.check(loaded)
        return loaded
    except ma.ValidationError as error:
        messages = error.normalized_messages()  # type: ignore[no-untyped-call]
        raise ValidationFailed(flatten_messages(messages, ("params",))) from error
