"""Gunicorn's threaded worker with the manners of the API.

What gunicorn refuses by itself is a problem (RFC 9457) too, a body that is badly chunked is the
client's fault, and a client that stops in the middle of a request does not keep a thread for long.
"""

import ctypes
import errno
import json
import os
import select
import signal
import socket
import struct
import threading
import time
from functools import partial
from typing import Any

from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.http.errors import (  # type: ignore[import-untyped]
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from taskapi.config import load_settings
from taskapi.core.errors import DomainError, InternalError
from taskapi.core.http import SECURITY_HEADERS
from taskapi.core.ids import new_id
from taskapi.core.problems import problem_body, problem_of_status
from taskapi.events.audit.refusals import refusals_written
from taskapi.events.live.process import begin_to_leave, finish_leaving
from taskapi.ops.gunicorn_handover import allow_many_files, hand_over_on_demand
from taskapi.ops.gunicorn_reading import ImpatientUnreader, Requests, WsgiApplication, refuse_bad_chunks

LINGER_SECONDS = 1.0
# So long a thread stays with a client that may ask again at once.
STAY_SECONDS = 0.02
# So long a process waits before it takes a connection, for each that it has; at most for so many.
COURTESY_SECONDS, MOST_COUNTED = 0.0001, 10
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
# From malloc.h.
M_MMAP_THRESHOLD = -3
LARGE_BLOCK_BYTES = 1_048_576
STATUSES: dict[type[ParseException], int] = {
    LimitRequestLine: 414,
    ExpectationFailed: 417,
    LimitRequestHeaders: 431,
    UnsupportedTransferCoding: 501,
}


class Worker(ThreadWorker):
    """Serves requests in threads."""

    # How long a client may pause in the middle of a request, or of taking its answer.
    read_timeout_seconds = 10.0
    write_timeout_seconds = 30.0

    wsgi: WsgiApplication

    def init_process(self) -> None:
        """Begin to serve."""
        return_large_blocks()
        allow_many_files()
        self._served = threading.local()
        self._counting, self._busy = threading.Lock(), 0
        super().init_process()

    def init_signals(self) -> None:
        """Listen to signals from now on, also to those that came before."""
        super().init_signals()
        hear_signals()

    def load_wsgi(self) -> None:
        """Load the application and put the reader of bodies before it."""
        super().load_wsgi()
        self.wsgi = hand_over_on_demand(refuse_bad_chunks(self.wsgi), self._served)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Take new connections, or not; once this process is to end, its clients go to another."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            self._close_door()
            begin_to_leave(self.app.wsgi())

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, but let a process that has fewer of them be quicker.

        All processes wake up for each. Clients keep their connections, so what comes at once should not
        become the lot of one process, on one processor, while another one rests.
        """
        if self.cfg.workers > 1 and self.alive:
            time.sleep(min(self.nr_conns, MOST_COUNTED) * COURTESY_SECONDS)
        super().accept(listener)

    def _close_door(self) -> None:
        """Let in who waits already, and nobody after them.

        Behind an open door they would wait for the last answer of this process, to be sent away without
        one; before a shut one they try again at once, and find the process that comes next.
        """
        for listener in self.sockets:
            while listener.fileno() != -1 and self._has_room() and select.select([listener], [], [], 0)[0]:
                self.accept(listener)
            listener.close()

    def _has_room(self) -> bool:
        return bool(self.nr_conns < self.worker_connections)

    def run(self) -> None:
        """Serve until told to stop."""
        with refusals_written(self.app.wsgi()):
            super().run()
            finish_leaving(self.app.wsgi())

    def enqueue_req(self, conn: TConn) -> None:
        """Let a thread serve the connection, but not wait for its client without end."""
        if conn.parser is None and not self.cfg.is_ssl:
            # A large answer may take its time, as long as the client goes on taking it.
            _limit_waiting(conn.sock, socket.SO_RCVTIMEO, self.read_timeout_seconds)
            _limit_waiting(conn.sock, socket.SO_SNDTIMEO, self.write_timeout_seconds)
            conn.parser = Requests(self.cfg, conn.sock, conn.client)
            conn.close = partial(self._close, conn)
        if conn.parser is not None and isinstance(conn.parser.unreader, ImpatientUnreader):
            conn.parser.unreader.begin()
        super().enqueue_req(conn)

    def handle(self, conn: TConn) -> Any:
        """Serve the connection while its client asks without pause, as far as nobody needs the thread.

        To hand each request from the loop to a thread, and back, takes as long as to answer many a one.
        """
        with self._counting:
            self._busy += 1
        try:
            goes_on = super().handle(conn)
            while goes_on is True and self._asks_again(conn):
                goes_on = super().handle(conn)
        finally:
            with self._counting:
                self._busy -= 1
        return goes_on

    def _asks_again(self, conn: TConn) -> bool:
        unreader = conn.parser.unreader
        if not (self.alive and self._has_free_thread() and isinstance(unreader, ImpatientUnreader)):
            return False
        # What was read ahead does not make the socket readable.
        if not unreader.buf.getvalue():
            waiting = select.poll()
            waiting.register(conn.sock, select.POLLIN)
            if not waiting.poll(STAY_SECONDS * 1000):
                return False
        unreader.begin()
        return True

    def _has_free_thread(self) -> bool:
        # Connections that are being closed take threads, too: then something waits in the pool.
        return bool(self._busy < self.cfg.threads and self.tpool._work_queue.empty())

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer a request; a client that does not take its answer has gone."""
        self._served.conn = conn
        try:
            keep_alive: bool = super().handle_request(req, conn)
        except BlockingIOError as error:
            raise ConnectionResetError(errno.ECONNRESET, "The client stopped reading.") from error
        return keep_alive

    def _close(self, conn: TConn, graceful: bool = False) -> None:
        # Gunicorn waits for the client's own end in the loop that all other clients depend on.
        if graceful:
            self.tpool.submit(util.close_graceful, conn.sock, timeout=LINGER_SECONDS)
        else:
            util.close(conn.sock)

    def handle_error(self, _req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a request that never reached the application."""
        request_id = str(new_id())
        problem = problem_of(exc)
        if problem.status == InternalError.status:
            self.log.exception("Error handling request %s", request_id)
        else:
            peer = addr[0] if addr else ""
            self.log.warning("Invalid request %s from ip=%s: %s", request_id, peer, exc)
        try:
            util.write_nonblock(client, _answer(problem, request_id))
        except OSError:
            self.log.debug("The client did not wait for its answer.")


def _limit_waiting(sock: socket.socket, option: int, seconds: float) -> None:
    whole, fraction = divmod(seconds, 1)
    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(whole), int(fraction * 1_000_000)))


def return_large_blocks() -> None:
    """Let large blocks of memory go back to the system at once (glibc; elsewhere nothing).

    The hash of a password takes 19 MiB, which each thread would keep for its next one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


def keep_signals_over_forks() -> None:
    """In the master: have a worker that is told to end before it can listen told when it can.

    It would take the signal for its parent's, go on serving, and be killed when its time is up.
    """
    block = partial(signal.pthread_sigmask, signal.SIG_BLOCK, STOP_SIGNALS)
    os.register_at_fork(before=block, after_in_parent=hear_signals)


def hear_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def problem_of(error: Exception) -> DomainError:
    """What to tell the client; a header that we made wrong is our own fault."""
    own_fault = isinstance(error, (InvalidResponseHeader, InvalidResponseHeaderName))
    if own_fault or not isinstance(error, ParseException):
        return InternalError("Something went wrong on our side.")
    problem = problem_of_status(STATUSES.get(type(error), 400))
    problem.detail = "This is not a proper HTTP request." if problem.status == 400 else problem.title
    return problem


def _answer(problem: DomainError, request_id: str) -> bytes:
    body = problem_body(problem, public_url=load_settings().public_url, request_id=request_id)
    content = json.dumps(body).encode()
    headers = {
        "Connection": "close",
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(content)),
        "X-Request-ID": request_id,
        **SECURITY_HEADERS,
    }
    lines = [f"HTTP/1.1 {problem.status} {problem.title}", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + content
