"""Where an act comes from: what the audit log tells beside who did it."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from flask import g, has_request_context, request

from taskapi.core.json import storable_text
from taskapi.core.proxies import read_address

Via = Literal["api", "cli", "worker", "scheduler"]
MAX_USER_AGENT = 200

# Of the whole process and not of a thread: the threads of a worker work for it.
_via: Via = "api"


def set_via(via: Via) -> None:
    """Say by which of its doors this process is used; one that serves requests need not."""
    global _via
    _via = via


@contextmanager
def acting_via(via: Via) -> Iterator[None]:
    """The same, for the time of a command."""
    before = _via
    set_via(via)
    try:
        yield
    finally:
        set_via(before)


def current_address() -> str | None:
    """The client's IP address, if a request is being answered."""
    if not has_request_context():
        return None
    address = read_address(request.remote_addr)
    return str(address) if address else None


def describe_origin() -> dict[str, Any]:
    """By which door an act came, and what is known of who opened it, as JSON values."""
    if has_request_context():
        return _of_request()
    return {"via": _via, "os_user": _os_user()} if _via == "cli" else {"via": _via}


def _of_request() -> dict[str, Any]:
    actor, agent = g.get("actor"), storable_text(request.headers.get("User-Agent", ""))
    known = {
        "user_agent": agent[:MAX_USER_AGENT],
        "session_id": actor and actor.session_id and str(actor.session_id),
        "token_id": actor and actor.token_id and str(actor.token_id),
    }
    return {"via": "api", **{name: value for name, value in known.items() if value}}


def _os_user() -> str:
    """By the number that the system knows: the environment may say anything."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
