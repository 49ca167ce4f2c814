"""Actions of installed packages: each entry point of the group ``taskapi.actions`` gives some."""

import re
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import structlog

from taskapi.core.openapi import json_schema
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.base import Action

log = structlog.get_logger(__name__)

GROUP = "taskapi.actions"
NAME = re.compile(r"[a-z][a-z0-9_]{0,79}")
MAX_SUMMARY = 200

# Names of actions that came from here: made twice in a process, the application meets them again.
_loaded: dict[str, str] = {}


def load_plugins() -> None:
    """Register the actions of installed packages, after those of the house.

    A package that fails is logged and left out: one of them must not stop the service.
    """
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            actions = list(_actions_of(entry))
            for action in actions:
                _check(action, entry)
        except (Exception, SystemExit) as error:
            log.exception("plugin.broken", plugin=entry.name, source=entry.value, error=str(error))
            continue
        for action in actions:
            _loaded[action.name] = entry.value
            registry.register(action)


def _actions_of(entry: EntryPoint) -> Iterable[Any]:
    """What it names: an action, several, or a function that gives them."""
    found = entry.load()
    if callable(found):
        found = found()
    return found if isinstance(found, Iterable) else [found]


def _check(action: Any, entry: EntryPoint) -> None:
    """Refuse now what would fail later, when somebody asks for the list of actions."""
    if not isinstance(action, Action):
        raise TypeError(f"{action!r} is not an Action")
    if not NAME.fullmatch(action.name):
        raise ValueError(f"{action.name!r} is no name of an action: small letters, digits, underscores")
    if not 0 < len(action.summary) <= MAX_SUMMARY:
        raise ValueError(f"the summary of {action.name!r} must have 1 to {MAX_SUMMARY} characters")
    if registry.is_installed(action.name) and _loaded.get(action.name) != entry.value:
        raise ValueError(f"there is an action {action.name!r} already")
    json_schema(action.params)
    unknown = {*action.secrets, *action.admin_params} - action.params().fields.keys()
    if unknown:
        raise ValueError(f"{action.name!r} has no params {sorted(unknown)}")
