"""Who is called: counts what comes under each key, and answers at once, late, or badly at first."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Call:
    """One call: seconds since 1970, and the status that the caller was sent, if it still listened."""

    at: float
    status: int | None = None


class Receiver(ThreadingHTTPServer):
    """Keeps all calls until the end.

    ``/at-once`` and ``/slow/<seconds>`` succeed, ``/moody`` refuses the first call of each key, ``/never``
    each, and ``/events/<owner>`` takes what a webhook tells.

    Attributes:
        calls: those of runs, by their idempotency key.
        told: the ids of the events of each owner's webhook, as they came.
    """

    request_queue_size = 100

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.calls: dict[str, list[Call]] = defaultdict(list)
        self.told: dict[str, list[str]] = defaultdict(list)
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def note(self, key: str) -> tuple[Call, int]:
        """The call that has just come, and how many came before it under its key."""
        call = Call(at=time.time())
        with self.lock:
            calls = self.calls[key]
            calls.append(call)
            return call, len(calls) - 1


class _Answering(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        _, kind, *details = self.path.split("/")
        if kind == "events":
            with self.server.lock:
                self.server.told[details[0]].append(self.headers["webhook-id"])
            self._answer(HTTPStatus.NO_CONTENT)
            return
        call, before = self.server.note(self.headers["Idempotency-Key"])
        if details:
            time.sleep(float(details[0]))
        refused = kind == "never" or (kind == "moody" and before == 0)
        status = HTTPStatus.SERVICE_UNAVAILABLE if refused else HTTPStatus.NO_CONTENT
        if self._answer(status):
            call.status = status

    def _answer(self, status: HTTPStatus) -> bool:
        """Whether the caller was still there, as far as one can know."""
        try:
            self.send_response(status)
            self.end_headers()
            self.wfile.flush()
        except OSError:
            return False
        return True

    def log_message(self, *_args: object) -> None:
        """Nothing: there are thousands."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of loopback while the block runs."""
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()
