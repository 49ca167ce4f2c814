"""Connections that are bounded as a whole: in the time for all steps together, and in what they receive."""

import errno
import math
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from functools import lru_cache
from http.client import HTTPException
from typing import Any, cast

CONNECT_SECONDS = 10.0
# To read the authorities of the system takes longer than most calls; new ones are noticed after this.
AUTHORITIES_SECONDS = 600.0
# So often a call that waits for its answer looks whether it is still wanted.
GLANCE_SECONDS = 0.5
# Headers, body and the framing of chunks together; 100-Continue may be repeated, too.
MAX_RECEIVED_BYTES = 1_048_576
# The family and address of a socket, as the system's resolver gives them.
Candidate = tuple[socket.AddressFamily, Any]


class Limits:
    """How long a call may still take, and how much it may still receive.

    Args:
        check: asked while the call waits; what it raises ends the call.
    """

    def __init__(self, *, give_up_at: float, check: Callable[[], None] | None = None) -> None:
        self._give_up_at = give_up_at
        self._check = check
        self.received = 0

    def glance(self) -> float:
        """Seconds to wait until the next glance.

        Raises:
            TimeoutError: no time is left.
        """
        if self._check is None:
            return self.left()
        self._check()
        return self.left(GLANCE_SECONDS)

    def left(self, most: float = math.inf) -> float:
        """Seconds left, at most ``most``.

        Raises:
            TimeoutError: there are none.
        """
        seconds = min(self._give_up_at - time.monotonic(), most)
        if seconds <= 0:
            raise TimeoutError
        return seconds

    def count(self, received: int) -> int:
        self.received += received
        if self.received > MAX_RECEIVED_BYTES:
            raise HTTPException(f"more than {MAX_RECEIVED_BYTES:,} bytes of headers and framing")
        return received


class LimitedSocket(socket.socket):
    """Before each step it sets what is left of the time for all: a slow drip does not begin it anew."""

    limits: Limits

    def connect(self, address: Any) -> None:
        """As the socket's own, within ``CONNECT_SECONDS``."""
        until = time.monotonic() + self.limits.left(CONNECT_SECONDS)
        self.setblocking(False)
        error = self.connect_ex(address)
        if error not in (0, errno.EINPROGRESS):
            raise OSError(error, os.strerror(error))
        poll = select.poll()
        poll.register(self, select.POLLOUT)
        while not poll.poll(min(self.limits.glance(), max(until - time.monotonic(), 0)) * 1000):
            if time.monotonic() >= until:
                raise TimeoutError
        if error := self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error))

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        while True:
            self.settimeout(self.limits.glance())
            with suppress(TimeoutError):
                return self.limits.count(super().recv_into(*args, **kwargs))

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.limits.left())
        return super().send(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(self.limits.left())
        super().sendall(*args, **kwargs)


class TlsSocket(LimitedSocket, ssl.SSLSocket):
    """The same for an encrypted connection."""


def look_up(
    host: str, port: int, patience: float, check: Callable[[], None] | None = None
) -> list[Candidate]:
    """The addresses of a host, asked for once.

    In a thread of its own: the system's resolver knows no limit and may take half a minute.

    Args:
        check: asked meanwhile; what it raises ends the waiting.

    Raises:
        OSError: there are none, or not within ``patience`` seconds (``TimeoutError``).
    """
    found: list[Candidate] = []
    failures: list[OSError] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend((family, address) for family, _, _, _, address in answers)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=ask, name="lookup", daemon=True)
    thread.start()
    until = time.monotonic() + patience
    while thread.is_alive() and (left := until - time.monotonic()) > 0:
        thread.join(min(left, GLANCE_SECONDS) if check else left)
        if check is not None:
            check()
    if failures:
        raise failures[0]
    if not found:
        raise TimeoutError
    return found


def dial(candidates: Sequence[Candidate], limits: Limits) -> LimitedSocket:
    """Connect to the first candidate that takes the connection.

    Raises:
        OSError: that of the last candidate.
    """
    failure: OSError = TimeoutError()
    for family, address in candidates:
        try:
            return _open(family, address, limits)
        except OSError as error:
            failure = error
    raise failure


def _open(family: socket.AddressFamily, address: Any, limits: Limits) -> LimitedSocket:
    with ExitStack() as on_failure:
        sock = on_failure.enter_context(closing(LimitedSocket(family, socket.SOCK_STREAM)))
        sock.limits = limits
        sock.connect(address)
        on_failure.pop_all()
    return sock


def encrypt(sock: LimitedSocket, host: str) -> TlsSocket:
    """TLS over an open connection; the certificate must be the host's, by the authorities of the system.

    Raises:
        OSError, and among its kinds ``ssl.SSLError``; the connection is closed then.
    """
    limits = sock.limits
    with ExitStack() as on_failure:
        on_failure.enter_context(closing(sock))
        context = _context(ssl.get_default_verify_paths(), time.monotonic() // AUTHORITIES_SECONDS)
        until = time.monotonic() + limits.left(CONNECT_SECONDS)
        wrapped = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        secure = cast(TlsSocket, on_failure.enter_context(closing(wrapped)))
        secure.limits = limits
        _shake_hands(secure, until)
        on_failure.pop_all()
    return secure


def _shake_hands(secure: TlsSocket, until: float) -> None:
    while True:
        # OpenSSL counts the time of a handshake as a whole, however slowly it drips.
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        secure.settimeout(min(secure.limits.glance(), left))
        with suppress(TimeoutError):
            secure.do_handshake()
            return


@lru_cache(maxsize=1)
def _context(_authorities: ssl.DefaultVerifyPaths, _period: float) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = TlsSocket
    return context
