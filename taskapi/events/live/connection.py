"""A client that stays: what connections of both wires have in common.

All of it runs in the event loop of the process, so nothing here needs a lock and nothing may wait.
"""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import structlog

from taskapi.core import clock
from taskapi.events.live.outgoing import Outgoing
from taskapi.events.live.readers import Reader, Start

if TYPE_CHECKING:
    from taskapi.events.live.process import Live

log = structlog.get_logger(__name__)

# Of what the client has not taken yet, so much is kept for it; the rest is read from the log later.
HIGH_WATER_BYTES = 65_536
# Who takes nothing for so long, although something waits, has gone.
STALLED_SECONDS = 20.0
# How long a client has for its part of the farewell.
FAREWELL_SECONDS = 5.0

TOKEN_ENDED, MISSING_SCOPE = 4401, 4403


class Connection(asyncio.Protocol):
    """A connection over a socket that was handed over.

    Args:
        head: the head of the answer to the request that opened it.
        opened: called with the connection: admits its reader, or ends it.

    Attributes:
        reader: who is told; None until somebody has shown a token.
        position: how far the reader has been told, while the hub does not tell it.
        is_live: the hub tells it.
        is_catching_up: what it has missed is being read.
        is_full: the client does not take what waits for it.
        is_ending: nothing more is told.
    """

    wire: str

    def __init__(self, live: "Live", head: bytes, opened: Callable[[Any], None]) -> None:
        self.live = live
        self._head, self._opened = head, opened
        self.reader: Reader | None = None
        self.position = 0
        self.is_live = self.is_catching_up = self.is_full = self.is_ending = False
        self._transport: asyncio.Transport
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._since = time.monotonic()

    @property
    def age(self) -> float:
        """For how many seconds it has been open."""
        return time.monotonic() - self._since

    @property
    def names(self) -> frozenset[UUID]:
        return self.reader.names if self.reader else frozenset()

    @abstractmethod
    def write(self, message: Outgoing) -> None:
        """Send a message in the words of the wire."""

    @abstractmethod
    def begin(self) -> None:
        """The head of the answer is on its way."""

    @abstractmethod
    def say_end(self, code: int, reason: str) -> None:
        """Tell the client why this ends, and end it."""

    @abstractmethod
    def say_reconnect(self, after_ms: int) -> None:
        """Tell the client when to come back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self.send_bytes(self._head)
        self.live.opened(self)
        self.begin()
        self._opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_ending = True
        for timer in self._timers.values():
            timer.cancel()
        self.live.lost(self)

    def pause_writing(self) -> None:
        self.is_full = True
        # Answers to a client that asks and does not listen would pile up.
        self._transport.pause_reading()
        self.after("stalled", STALLED_SECONDS, self.abort)

    def resume_writing(self) -> None:
        self.is_full = False
        self.forget("stalled")
        self._transport.resume_reading()
        if self.reader is not None and not self.is_live:
            self.live.catch_up(self)

    def admit(self, reader: Reader, start: Start) -> None:
        """Tell the reader of everything after the start, until the token ends."""
        if self.is_ending:
            return
        if "read" not in reader.actor.scopes:
            self.end(MISSING_SCOPE, "missing_scope")
            return
        self.reader, self.position = reader, start.position
        expires_at = reader.actor.expires_at
        if expires_at is not None:
            seconds = (expires_at - clock.now()).total_seconds()
            self.after("expiry", max(seconds, 0.0), lambda: self.end(TOKEN_ENDED, "token_expired"))
        if start.notice is not None:
            self.write(start.notice)
        if not (start.is_head and self.live.hub.join(self)):
            self.live.catch_up(self)

    def offer(self, message: Outgoing, position: int) -> bool:
        """Send what happened at a position; False, and nothing is sent, if it must be read later."""
        if self.is_full or self.is_ending:
            self.position = max(self.position, position - 1)
            return False
        self.write(message)
        self.position = position
        return True

    def end(self, code: int, reason: str) -> None:
        """End the connection for a reason that the client is told."""
        if self.is_ending:
            return
        self.stop_telling()
        self.say_end(code, reason)

    def go_away(self, after_ms: int) -> None:
        """The process ends: send the client to another one."""
        if self.is_ending:
            return
        self.stop_telling()
        self.say_reconnect(after_ms)

    def stop_telling(self) -> None:
        """Leave the hub; the client has a moment to end its side."""
        self.is_ending = True
        self.live.hub.leave(self)
        self.after("farewell", FAREWELL_SECONDS, self.abort)

    def send_bytes(self, data: bytes) -> None:
        self._transport.write(data)

    def abort(self) -> None:
        """Let go of a client that does not answer."""
        self._transport.abort()

    def after(self, name: str, seconds: float, act: Callable[[], object]) -> None:
        """Act once in so many seconds, unless the same is put off or forgotten meanwhile."""
        self.forget(name)
        self._timers[name] = self.live.loop.call_later(seconds, act)

    def waits_for(self, name: str) -> bool:
        return name in self._timers

    def forget(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
