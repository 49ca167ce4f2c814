"""Connections by server-sent events (HTML, 9.2): an answer that does not end."""

from taskapi.events.live import outgoing
from taskapi.events.live.connection import Connection
from taskapi.events.live.outgoing import Outgoing

# After how many milliseconds a client whose connection broke comes back.
BEGINNING = "retry: 3000\n\n"
# Shorter than any proxy waits for an answer to go on.
COMMENT_SECONDS = 15.0


class EventStream(Connection):
    """The client reads; what it sends is nobody's."""

    wire = "sse"

    def begin(self) -> None:
        self.send_bytes(BEGINNING.encode())
        self.after("comment", COMMENT_SECONDS, self._comment)

    def write(self, message: Outgoing) -> None:
        self.send_bytes(message.block)

    def say_end(self, code: int, reason: str) -> None:
        self.write(outgoing.closed(code, reason))
        self._transport.close()

    def say_reconnect(self, after_ms: int) -> None:
        self.send_bytes(f"retry: {after_ms}\n\n".encode())
        self._transport.close()

    def _comment(self) -> None:
        if not self.is_full and not self.is_ending:
            self.send_bytes(b": still here\n\n")
        self.after("comment", COMMENT_SECONDS, self._comment)
