"""Secrets among params: sealed where they are stored, never shown again, opened for a run alone."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from taskapi.core.access import Actor
from taskapi.core.errors import ValidationFailed
from taskapi.core.logging import redact
from taskapi.core.signing import SealBroken, seal, unseal
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.base import Action, ActionFailed
from taskapi.schedules.permissions import check_sender

HIDDEN = "***"
PURPOSE = "schedules.params"
# A sealed value tells what it is, so that it is hidden also while its action is not installed.
SEALED = "$sealed"
# And who calls: all but scheme and host (RFC 3986, 3).
PATH_OF_URL = re.compile(r"(?<=://)(?:[^/?#\s]*@)?([^/?#\s]+)[^\s\"<>]*")


def params_to_store(
    action: Action, sent: dict[str, Any], *, actor: Actor | None, stored: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Check params that somebody sent and seal the secrets among them.

    Args:
        actor: who sent them.
        stored: those that they replace; a secret sent as ``***`` stays the one that is stored.

    Raises:
        ValidationFailed
        AdminOnly: one of them is for administrators.
    """
    params = keep_secrets(action, sent, stored or {})
    for name in action.secrets:
        if params.get(name) == HIDDEN:
            raise ValidationFailed({f"params.{name}": [f"Send the secret: {HIDDEN} only stands for one."]})
    check_sender(action, registry.check_params(action, params), actor=actor)
    given = [name for name in action.secrets if params.get(name) is not None]
    # One that is kept stays as it is: sealed anew it would look like a change.
    sealed = {
        name: stored[name] if stored and sent[name] == HIDDEN else _seal(params[name]) for name in given
    }
    return {**params, **sealed}


def keep_secrets(action: Action, sent: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """What was sent, with the stored secrets, opened, in the place of ``***``.

    Raises:
        ValidationFailed: the stored one cannot be opened any more.
    """
    kept = [name for name in action.secrets if sent.get(name) == HIDDEN and is_sealed(stored.get(name))]
    try:
        return {**sent, **{name: _open(stored[name]) for name in kept}}
    except SealBroken as error:
        problem = "The secret that is stored cannot be read any more: send it again."
        raise ValidationFailed({f"params.{name}": [problem] for name in kept}) from error


def open_secrets(action: Action, stored: dict[str, Any]) -> dict[str, Any]:
    """Stored params as the action is to read them.

    Raises:
        ActionFailed: permanently, when the key that sealed a secret is gone.
    """
    sealed = [name for name in action.secrets if is_sealed(stored.get(name))]
    try:
        return {**stored, **{name: _open(stored[name]) for name in sealed}}
    except SealBroken as error:
        message = "A secret of this schedule cannot be read any more; send it again. Was SECRET_KEY changed?"
        raise ActionFailed(message, code="secret_unreadable", permanent=True) from error


def shown_params(stored: dict[str, Any]) -> dict[str, Any]:
    """Stored params as anybody may read them: in answers, events, exports."""
    return {name: HIDDEN if is_sealed(value) else value for name, value in stored.items()}


def recorded_params(action: str, stored: dict[str, Any]) -> dict[str, Any]:
    """Stored params as the log of changes keeps them; of an address only where it leads: paths hold keys."""
    private = registry.find(action).private if registry.is_installed(action) else tuple(stored)
    told = {name: HIDDEN if name in private and value else value for name, value in stored.items()}
    recorded: dict[str, Any] = _without_paths(redact(shown_params(told)))
    return recorded


def _without_paths(value: Any) -> Any:
    if isinstance(value, str):
        return PATH_OF_URL.sub(rf"\1/{HIDDEN}", value)
    if isinstance(value, dict):
        return {name: _without_paths(item) for name, item in value.items()}
    return [_without_paths(item) for item in value] if isinstance(value, list) else value


def secret_texts(action: Action, params: dict[str, Any]) -> list[str]:
    """The texts among the opened secrets that nobody would say by chance, the longest first."""
    found = [text for name in action.secrets for text in _texts_in(params.get(name)) if len(text) > 3]
    return sorted(found, key=len, reverse=True)


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(part)


def without_secrets(text: str, secrets: Sequence[str]) -> str:
    """What an action said of its failure, which may quote what it was given, or where it connected to."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return str(redact(text))


def is_sealed(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {SEALED}


def _seal(value: Any) -> dict[str, str]:
    return {SEALED: seal(orjson.dumps(value).decode(), PURPOSE)}


def _open(sealed: dict[str, str]) -> Any:
    return orjson.loads(unseal(sealed[SEALED], PURPOSE))
