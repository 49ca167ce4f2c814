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


def check_params(action: Action, params: dict[str, Any]) -> None:
    """Refuse params that the action's schema refuses; they are kept as they were sent.

    Raises:
        ValidationFailed: with the path of each field below ``params``.
    """
    try:
        action.params().load(params)
    except ma.ValidationError as error:
        raise ValidationFailed(flatten_messages(error.messages, ("params",))) from error
