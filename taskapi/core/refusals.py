"""Remembers what was refused until somebody writes it into the audit log.

Strangers cause refusals, so they must cost next to nothing: no answer waits for the database, and
in each minute a process tells of so many only; the rest is counted.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Flask, Response, current_app, g, has_request_context, request

from taskapi.core import clock
from taskapi.core.origin import current_address, describe_origin
from taskapi.core.proxies import network_of

WINDOW_SECONDS = 60.0
PER_ADDRESS, IN_ALL = 30, 300
# While the database is away; the rest is counted.
MAX_WAITING = 1_000
STATUSES = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
# Refused under another status: a foreign name of the machine, a mailed token that is none.
CODES = {"unknown_host", "invalid_one_time_token"}
SIGN_IN = "accounts.log_in"
FAILED_SIGN_IN = {
    "invalid_credentials",
    "invalid_second_factor",
    "second_factor_required",
    "too_many_failures",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that was refused, or (``repeated``) how many more there were.

    Attributes:
        told: of the request, as JSON values: nothing of what was sent but the method.
        user_id: whose name was used, if it is somebody's.
    """

    type: str = "access.refused"
    told: dict[str, Any]
    at: datetime = field(default_factory=clock.now)
    address: str | None = None
    context: dict[str, Any] | None = None
    actor_id: UUID | None = None
    user_id: UUID | None = None
    request_id: str | None = None


class Refusals:
    """What waits to be written, in this process."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._waiting: list[Refusal] = []
        self._begin(seconds())

    def add(self, refusal: Refusal) -> None:
        """Keep it, or only count it."""
        with self._lock:
            self._end_window()
            # One host has many addresses of its network.
            address = network_of(refusal.address)
            few = self._kept.total() < IN_ALL and self._kept[address] < PER_ADDRESS
            if few and len(self._waiting) < MAX_WAITING:
                self._kept[address] += 1
                self._waiting.append(refusal)
            else:
                # So many addresses as were kept, at most, have a count of their own.
                self._surplus[address if address in self._kept else ""] += 1

    def take(self) -> list[Refusal]:
        """All that waits, and how many more there were in a window that is over."""
        with self._lock:
            self._end_window()
            taken, self._waiting = self._waiting, []
        return taken

    def give_back(self, refusals: Sequence[Refusal]) -> None:
        """They could not be written."""
        with self._lock:
            self._waiting[:0] = refusals

    def _end_window(self) -> None:
        now = self._seconds()
        if now - self._began < WINDOW_SECONDS or len(self._waiting) >= MAX_WAITING:
            return
        self._waiting += [
            Refusal(told={"repeated": count}, address=address or None)
            for address, count in self._surplus.items()
        ]
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._began = now
        self._kept: Counter[str] = Counter()
        self._surplus: Counter[str] = Counter()


def install_refusals(app: Flask) -> None:
    app.extensions["taskapi_refusals"] = Refusals()
    app.after_request(_remember)


def refusals_of_process() -> Refusals:
    found: Refusals = current_app.extensions["taskapi_refusals"]
    return found


def concerns(user_id: UUID) -> None:
    """Say whose account somebody tries to use: should they be refused, it is told."""
    if has_request_context():
        g.concerned_user = user_id


def refused_later() -> Callable[[str], None]:
    """For a connection that outlives this request: call it with the code when it is refused after all."""
    refusals, told = refusals_of_process(), _told(HTTPStatus.SWITCHING_PROTOCOLS)
    address, context, request_id = current_address(), describe_origin(), g.get("request_id")

    def refuse(code: str) -> None:
        told_now = {**told, "code": code}
        refusals.add(Refusal(told=told_now, address=address, context=context, request_id=request_id))

    return refuse


def _told(status: int) -> dict[str, Any]:
    route = str(request.url_rule) if request.url_rule else None
    return {"method": request.method[:10], "route": route, "status": int(status)}


def _remember(response: Response) -> Response:
    code = _reason(response)
    if code is None:
        return response
    actor = g.get("actor")
    is_sign_in = request.endpoint == SIGN_IN and code in FAILED_SIGN_IN
    refusal = Refusal(
        type="sign_in.failed" if is_sign_in else "access.refused",
        told={**_told(response.status_code), "code": code},
        address=current_address(),
        context=describe_origin(),
        actor_id=actor.user_id if actor else None,
        user_id=g.get("concerned_user"),
        request_id=g.get("request_id"),
    )
    refusals_of_process().add(refusal)
    return response


def _reason(response: Response) -> str | None:
    """Why the request was refused, as the code of a problem; None if it was not."""
    code: str | None = g.get("problem_code")
    if response.status_code in STATUSES:
        return code or HTTPStatus(response.status_code).name.lower()
    shown_in_path = "token" in (request.view_args or {})
    if code in CODES or (shown_in_path and response.status_code == HTTPStatus.NOT_FOUND):
        return code
    # A WebSocket is accepted, and then closed because of its token.
    refusal = g.get("refusal")
    shown = shown_in_path or "Authorization" in request.headers
    return refusal.code if refusal and shown and response.status_code == 101 else None
