"""Looks at an address before it is kept; what counts is checked again at every call."""

from typing import Any

from taskapi.clients import http
from taskapi.clients.addresses import TargetRefused
from taskapi.core.runtime import runtime_settings

LOOKUP_PATIENCE = 2.0


def refusal_of(content: dict[str, Any]) -> str | None:
    """Why the ``url`` of a body would be refused when it is called, or None."""
    url = content.get("url")
    if not isinstance(url, str):
        return None
    allowed = runtime_settings().webhook_allow_private
    try:
        http.check_target(url.strip(), allowed=allowed, patience=LOOKUP_PATIENCE)
    except TargetRefused as error:
        return str(error)
    return None
