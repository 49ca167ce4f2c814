"""Somebody with an open page, who comes and goes, and misses nothing that is theirs."""

import json
import random
import threading
import time
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.e2e.installation import ApiUser

# How long somebody has a page open, and for how long they are away then.
OPEN_SECONDS, AWAY_SECONDS = (10.0, 40.0), (0.5, 3.0)
# After their last change, which comes last.
PATIENCE_SECONDS = 60.0
# They tell of the connection, and of nothing that happened.
OF_THE_CONNECTION = frozenset({"reconnect", "pong", "closed"})


class Listener:
    """Hears of what happens from the moment on at which it is made, with pauses.

    Attributes:
        heard: the ids of the events that came, in their order.
        returns: how often it came back and went on where it was.
        resyncs: how often it was told that what it missed is not known any more.
    """

    def __init__(self, user: ApiUser, number: int) -> None:
        self._user, self._dice = user, random.Random(number)
        self._address = user.url.replace("http", "ws").removesuffix("/api") + "/ws"
        self._headers = {"Authorization": f"Bearer {user.token}"}
        self.user_id: str = user.get("/auth/me")["id"]
        self.heard: list[str] = []
        self.returns = self.resyncs = 0
        # What those events are about.
        self._of: set[str] = set()
        self._last_id: str = user.get("/changes", limit=1)["latest"]
        self._last_task: str | None = None
        self._over = threading.Event()

    @property
    def has_heard_last(self) -> bool:
        """Whether the last of its own changes came, which may be before its answer."""
        return self._last_task in self._of

    def come_to_an_end(self) -> None:
        """Make a last change: who has heard of it has heard all before it."""
        self._last_task = self._user.signed_in_again().post("/tasks", {"title": "The end"})["id"]
        self._over.set()

    def listen(self) -> None:
        """Until the last change was heard, or much patience later."""
        end = float("inf")
        while not self.has_heard_last and time.monotonic() < end:
            if self._over.is_set():
                end = min(end, time.monotonic() + PATIENCE_SECONDS)
            address = f"{self._address}?last_event_id={self._last_id}"
            with (
                suppress(ConnectionClosed, InvalidStatus, OSError),
                connect(address, additional_headers=self._headers, compression=None) as socket,
            ):
                self._receive(socket, time.monotonic() + self._dice.uniform(*OPEN_SECONDS))
            self.returns += not self.has_heard_last
            time.sleep(self._dice.uniform(*AWAY_SECONDS))

    def _receive(self, socket: Any, until: float) -> None:
        while not self.has_heard_last and time.monotonic() < until:
            with suppress(TimeoutError):
                self._note(json.loads(socket.recv(timeout=1.0)))

    def _note(self, message: dict[str, Any]) -> None:
        if message["type"] in OF_THE_CONNECTION:
            return
        self._last_id = message["id"]
        if message["type"] == "resync":
            self.resyncs += 1
            return
        self.heard.append(message["id"])
        self._of.add(message["data"]["id"])
