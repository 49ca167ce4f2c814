"""Connections by WebSocket (RFC 6455). Nothing is compressed: a small message could become a huge one."""

import logging
from collections.abc import Callable
from typing import Any

import structlog
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from taskapi.core.errors import MalformedJson, Unauthorized
from taskapi.core.json import load_strict
from taskapi.events.live import outgoing
from taskapi.events.live.connection import TOKEN_ENDED, Connection
from taskapi.events.live.outgoing import Outgoing
from taskapi.events.live.readers import sign_in

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES = 65_536
# What is longer holds no token and is no ping: all others would wait while it is read.
MAX_READ_BYTES = 4096
# The rest of what a client has sent waits until its frames were counted.
PIECE_BYTES = 4096
FRAMES_PER_SECOND = 200
# Proxies close a connection on which nothing happens, mostly after a minute.
PING_SECONDS = 25.0
PONG_SECONDS = 20.0
TOKEN_SECONDS = 10.0
# At DEBUG the library writes down each frame, and one of them may be a token.
_quiet = logging.getLogger("taskapi.websocket")
_quiet.setLevel(logging.ERROR)


class WebSocket(Connection):
    """Who is told is known from the request, or says it in the first message."""

    wire = "websocket"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._protocol = Protocol(Side.SERVER, state=OPEN, max_size=MAX_MESSAGE_BYTES, logger=_quiet)
        self._message = bytearray()
        self._waits_for_token = False
        self._second, self._frames = 0, 0

    def begin(self) -> None:
        self.after("ping", PING_SECONDS, self._ping)

    def expect_token(self, last_event_id: str, since: int, refuse: Callable[[str], None]) -> None:
        """Wait for a first message that shows a token; who had nothing yet is told what came since.

        Args:
            refuse: told the code of what is wrong with the token.
        """
        self._refuse = refuse
        self._waits_for_token, self._last_event_id, self._opened_at = True, last_event_id, since
        self.after("token", TOKEN_SECONDS, lambda: self.end(CloseCode.POLICY_VIOLATION, "no_token"))

    def write(self, message: Outgoing) -> None:
        self.send_bytes(message.frame)

    def say_end(self, code: int, reason: str) -> None:
        self._protocol.send_close(code, reason)
        self._flush()

    def say_reconnect(self, after_ms: int) -> None:
        self.write(outgoing.reconnect(after_ms))
        self.say_end(CloseCode.SERVICE_RESTART, "reconnect")

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            self._protocol.receive_data(data[start : start + PIECE_BYTES])
            for frame in self._protocol.events_received():
                if isinstance(frame, Frame):
                    self._received(frame)
            self._flush()

    def _received(self, frame: Frame) -> None:
        if self._comes_too_fast():
            self._fail(CloseCode.POLICY_VIOLATION, "too_many_messages")
        elif frame.opcode is Opcode.PONG:
            self.forget("pong")
        elif frame.opcode is Opcode.BINARY:
            self._fail(CloseCode.UNSUPPORTED_DATA, "text_only")
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._message += frame.data
            if frame.fin:
                message, self._message = self._message, bytearray()
                self._heard(bytes(message))

    def _comes_too_fast(self) -> bool:
        second = int(self.live.loop.time())
        self._frames = self._frames + 1 if second == self._second else 1
        self._second = second
        return self._frames > FRAMES_PER_SECOND

    def _heard(self, message: bytes) -> None:
        if self.is_ending:
            return
        if not _is_text(message):
            self._fail(CloseCode.INVALID_DATA, "no_utf8")
            return
        content = _json_in(message) if len(message) <= MAX_READ_BYTES else None
        if isinstance(content, dict) and content.get("type") == "ping":
            self.write(outgoing.PONG)
        elif self._waits_for_token:
            self._waits_for_token = False
            token, last_event_id = _read_token(message, content)
            self.live.begin(self._sign_in(token, last_event_id or self._last_event_id))

    async def _sign_in(self, token: str, last_event_id: str) -> None:
        try:
            reader, start = await self.live.ask(sign_in, token, last_event_id, self._opened_at)
        except Unauthorized as refusal:
            self._refuse(refusal.code)
            self.end(TOKEN_ENDED, refusal.code)
            return
        except Exception:
            # Whatever it is, the client waits for an answer.
            log.exception("live.failed", step="sign_in")
            self.end(CloseCode.TRY_AGAIN_LATER, "unavailable")
            return
        self.forget("token")
        self.admit(reader, start)

    def _ping(self) -> None:
        if not self.is_full and not self.is_ending:
            self._protocol.send_ping(b"")
            self._flush()
            if not self.waits_for("pong"):
                self.after("pong", PONG_SECONDS, self.abort)
        self.after("ping", PING_SECONDS, self._ping)

    def _fail(self, code: int, reason: str) -> None:
        """Hear nothing more of who does not keep the rules."""
        self._protocol.fail(code, reason)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.send_bytes(data)
            elif self._transport.can_write_eof() and not self._transport.is_closing():
                self._transport.write_eof()
        if self._protocol.close_expected() and not self.is_ending:
            self.stop_telling()


def _is_text(message: bytes) -> bool:
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True


def _json_in(message: bytes) -> Any:
    try:
        return load_strict(message)
    except MalformedJson:
        return None


def _read_token(message: bytes, content: Any) -> tuple[str, str]:
    """The token and what the client had last; a bare token is no JSON."""
    if isinstance(content, dict):
        token, last = content.get("token"), content.get("last_event_id")
        return token if isinstance(token, str) else "", last if isinstance(last, str) else ""
    return content if isinstance(content, str) else message.decode().strip(), ""
