"""How gunicorn reads requests: a slow client counts as gone, and bad chunks are the client's fault."""

import io
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.http.body import LengthReader  # type: ignore[import-untyped]
from gunicorn.http.errors import NoMoreData, ParseException  # type: ignore[import-untyped]
from gunicorn.http.parser import RequestParser  # type: ignore[import-untyped]
from gunicorn.http.unreader import SocketUnreader  # type: ignore[import-untyped]
from werkzeug.exceptions import BadRequest, ClientDisconnected

from taskapi.core.incoming import seconds_allowed

WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Requests(RequestParser):
    """The requests of a connection."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any) -> None:
        super().__init__(cfg, sock, client)
        self.unreader = ImpatientUnreader(sock)

    def finish_body(self, *args: Any, **kwargs: Any) -> bool:
        """Read what nobody has read of a body; where nothing is left, without gunicorn's time limits."""
        body = getattr(self.mesg, "body", None)
        reader = getattr(body, "reader", None)
        if isinstance(reader, LengthReader) and reader.length == 0 and not getattr(body, "failed", False):
            return True
        return bool(super().finish_body(*args, **kwargs))


class ImpatientUnreader(SocketUnreader):
    """Treats a client that has stopped sending, or sends too slowly, like one that has gone."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.begin()

    def begin(self) -> None:
        """The next request comes."""
        self._received = 0
        self._since: float | None = None

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next bytes.

        Raises:
            NoMoreData: none came for too long, or too few. It is checked here, as whoever reads a
                body waits for as many bytes as they asked for.
        """
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since > seconds_allowed(self._received):
            raise NoMoreData
        try:
            data: bytes = super().chunk(size_hint)
        except BlockingIOError as error:
            raise NoMoreData from error
        self._received += len(data)
        return data


class ChunkedBody(io.RawIOBase):
    """A request body whose faults are the client's."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._body.read(len(buffer))
        except NoMoreData as error:
            raise ClientDisconnected("The body broke off.") from error
        except ParseException as error:
            raise BadRequest(f"The body is not properly chunked: {error}.") from error
        buffer[: len(data)] = data
        return len(data)


def refuse_bad_chunks(application: WsgiApplication) -> WsgiApplication:
    """The application, to which a badly chunked body is a bad request."""

    def wrapper(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"] = ChunkedBody(environ["wsgi.input"])
        return application(environ, start_response)

    return wrapper
