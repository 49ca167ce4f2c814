"""What goes to clients, in the words of each wire: frames of a WebSocket, blocks of an event stream."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from websockets.frames import Frame, Opcode

from taskapi.core import clock
from taskapi.core.json import dump_json
from taskapi.events.messages import Message


@dataclass(frozen=True)
class Outgoing:
    """A message that any number of connections may get: each text is made once for all of them.

    Attributes:
        id: what a client resumes after; None where that does not change.
    """

    id: str | None
    body: bytes

    @cached_property
    def frame(self) -> bytes:
        """A frame of text (RFC 6455, 5.6); a server does not mask."""
        return Frame(Opcode.TEXT, self.body).serialize(mask=False)

    @cached_property
    def block(self) -> bytes:
        """An event of the default type (HTML, 9.2.6), so that ``onmessage`` sees it."""
        identifier = f"id: {self.id}\n".encode() if self.id else b""
        return identifier + b"data: " + self.body + b"\n\n"


def event(message: Message) -> Outgoing:
    """Something happened."""
    body = {"id": message.id, "type": message.type, "data": message.data, "at": message.at}
    return Outgoing(str(message.id), dump_json(body))


def resync(last_id: str, reason: str) -> Outgoing:
    """What came before ``last_id`` cannot be told any more: the client must read its things anew."""
    return _notice("resync", {"reason": reason}, last_id=last_id)


def reconnect(after_ms: int) -> Outgoing:
    """This process ends: come back after a moment."""
    return _notice("reconnect", {"after_ms": after_ms})


def closed(code: int, reason: str) -> Outgoing:
    """Why the stream ends, where the wire itself has no words for it."""
    return _notice("closed", {"code": code, "reason": reason})


def _notice(kind: str, data: dict[str, Any], *, last_id: str | None = None) -> Outgoing:
    identifier = {"id": last_id} if last_id else {}
    return Outgoing(last_id, dump_json({**identifier, "type": kind, "data": data, "at": clock.now()}))


PONG = Outgoing(None, dump_json({"type": "pong"}))
