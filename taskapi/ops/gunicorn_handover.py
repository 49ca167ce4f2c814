"""How a connection leaves gunicorn: whoever asked for it gets the socket, and no thread waits for it."""

import errno
import resource
import socket
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from email.utils import formatdate
from typing import Any

from taskapi.core.handover import POSSIBLE, Take, taker_of
from taskapi.ops.gunicorn_reading import WsgiApplication

# They are about this connection alone (RFC 9110, 7.6.1), or about a body that has no length.
NOT_SENT = {"connection", "content-length", "keep-alive", "transfer-encoding"}
NO_LIMIT = struct.pack("ll", 0, 0)


def hand_over_on_demand(application: WsgiApplication, served: threading.local) -> WsgiApplication:
    """The application, which may give away the connection of a request.

    Args:
        served: has the connection that the running thread serves, ``conn``.
    """

    def wrapper(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """
        Raises:
            OSError: the connection was given away; gunicorn forgets one that is not connected.
        """
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            begun.append((status, headers))
            return start_response(status, headers, exc_info)

        # Of an encrypted connection the socket alone would be of no use.
        environ[POSSIBLE] = environ["wsgi.url_scheme"] == "http"
        answer = application(environ, start)
        take = taker_of(environ)
        if take is None or begun[-1][0][:4] not in ("101 ", "200 "):
            return answer
        if hasattr(answer, "close"):
            answer.close()
        _give_away(served.conn, take, _head(*begun[-1]))
        raise OSError(errno.ENOTCONN, "The connection was handed over.")

    return wrapper


def _give_away(conn: Any, take: Take, head: bytes) -> None:
    early: bytes = conn.parser.unreader.take_buffered()
    # Gunicorn closes what it has: without its descriptor that closes nothing.
    sock = socket.socket(fileno=conn.sock.detach())
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, NO_LIMIT)
    sock.setblocking(False)
    take(sock, head, early)


def _head(status: str, headers: list[tuple[str, str]]) -> bytes:
    connection = "Upgrade" if status.startswith("101 ") else "close"
    sent = [(name, value) for name, value in headers if name.lower() not in NOT_SENT]
    fields = [("Date", formatdate(usegmt=True)), ("Connection", connection), *sent]
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def allow_many_files() -> None:
    """Let the process open as many files as it may: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
