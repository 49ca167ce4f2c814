"""The event loop of a web process: all its open connections, in one thread.

Requests are served by threads, and a connection that stays would keep one. So a request that opens
one hands its socket over to this loop. Whatever asks the database runs in threads of its own.
"""

import asyncio
import random
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

import structlog
from flask import Flask, current_app

from taskapi.background.enqueue import EVENTS_CHANNEL
from taskapi.background.listening import listen
from taskapi.core.meters import Gauge
from taskapi.core.runtime import runtime_settings
from taskapi.events.live.connection import TOKEN_ENDED, Connection
from taskapi.events.live.hub import Hub
from taskapi.events.live.readers import Page, Reader, Start, now_of, read_batch, read_page, start_at_head

P = ParamSpec("P")
R = TypeVar("R")
log = structlog.get_logger(__name__)

CONNECTIONS = Gauge("taskapi_live_connections", "WebSockets and event streams that are open")

# Redis only gives a hint that may be lost.
LOOK_SECONDS = 1.0
PAUSE_SECONDS = 1.0
STANDING_SECONDS = 2.0
# Who reads what they have missed must leave threads and connections for requests.
READERS = 3
# Else it grows to megabytes for each connection.
SEND_BUFFER_BYTES = 65_536
VANISHED_MS = 30_000
# Of the time in which a process must have ended.
LEAVING_SECONDS = 1.0
INSISTING_SECONDS = 0.1
# All of them would come back to the next process at once.
LATEST_RETURN_MS = 3000
_making = threading.Lock()


class Live:
    """Keeps the connections of a process and tells them what happens."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self.loop = asyncio.new_event_loop()
        self.connections: set[Connection] = set()
        self.hub = Hub()
        self._news, self._stopping = asyncio.Event(), asyncio.Event()
        self._all_gone = asyncio.Event()
        self._is_leaving = False
        # What happens now must not wait for those who read what happened before.
        self._feeder = ThreadPoolExecutor(1, "live-feed")
        self._readers = ThreadPoolExecutor(READERS, "live-read")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._thread.start()

    def adopt(self, connection: Connection, sock: socket.socket, early: bytes) -> None:
        """Serve a connection whose socket was handed over; called by threads that serve requests.

        Args:
            early: what the client has sent already.
        """
        asyncio.run_coroutine_threadsafe(self._adopt(connection, sock, early), self.loop)

    def leave(self) -> "Future[None]":
        """Send all clients to another process; done once they have gone."""
        return asyncio.run_coroutine_threadsafe(self._leave(), self.loop)

    def opened(self, connection: Connection) -> None:
        self.connections.add(connection)
        CONNECTIONS.set(self._app, len(self.connections))
        if self._is_leaving:
            self.loop.call_soon(connection.go_away, random.randint(0, LATEST_RETURN_MS))  # noqa: S311

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        CONNECTIONS.set(self._app, len(self.connections))
        self.hub.leave(connection)
        user = str(connection.reader.actor.user_id) if connection.reader else None
        log.info("live.closed", wire=connection.wire, user=user, seconds=round(connection.age, 1))
        if not self.connections:
            self._all_gone.set()

    def catch_up(self, connection: Connection) -> None:
        """Let the connection read what it has missed, and join the others when it has."""
        if not connection.is_catching_up:
            connection.is_catching_up = True
            self.begin(self._catch_up(connection))

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside everything else."""
        task = self.loop.create_task(work)
        # The loop itself keeps no task alive.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ask(self, question: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What a function answers that asks the database."""
        return await self._ask(self._readers, question, *args, **kwargs)

    def _run(self) -> None:
        with self._app.app_context():
            settings = runtime_settings()
        self.begin(listen(settings, EVENTS_CHANNEL, self._news.set))
        self.begin(self._for_ever(self._follow))
        self.begin(self._for_ever(self._check_standing))
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self) -> None:
        await self._stopping.wait()
        for connection in list(self.connections):
            connection.abort()
        # Again and again: `wait_for` of Python 3.11, and libraries, may lose that they were cancelled.
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=INSISTING_SECONDS)

    async def _ask(self, threads: Executor, question: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        def answer() -> R:
            with self._app.app_context():
                return question(*args, **kwargs)

        return await self.loop.run_in_executor(threads, answer)

    async def _adopt(self, connection: Connection, sock: socket.socket, early: bytes) -> None:
        try:
            _bound(sock)
            await self.loop.connect_accepted_socket(lambda: connection, sock)
        except OSError:
            sock.close()
            return
        if early:
            connection.data_received(early)

    def stop(self) -> None:
        """End the loop: connections that are still open break."""
        with suppress(RuntimeError):
            # It may have ended.
            self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        for threads in (self._feeder, self._readers):
            threads.shutdown()

    async def _leave(self) -> None:
        self._is_leaving = True
        for connection in list(self.connections):
            connection.go_away(random.randint(0, LATEST_RETURN_MS))  # noqa: S311
        self._all_gone.clear()
        if self.connections:
            await self._all_gone.wait()

    async def _for_ever(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except Exception:
                # The loop must outlive any failure: the database may be restarting.
                log.exception("live.failed", step=step.__name__)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _follow(self) -> None:
        """Tell everybody what is new; nothing is read while nobody is there."""
        await self.hub.is_wanted.wait()
        self._news.clear()
        batch = await self._ask(self._feeder, read_batch, self.hub.position)
        await self.hub.deliver(batch)
        if not batch.is_full:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK_SECONDS)

    async def _check_standing(self) -> None:
        """Look whether who was let in may stay, and who they are now."""
        await asyncio.sleep(STANDING_SECONDS)
        asked = [(one, one.reader) for one in self.connections if one.reader and not one.is_ending]
        if not asked:
            return
        found = await self.ask(now_of, [reader for _, reader in asked])
        for connection, reader in asked:
            now = found.get(reader.credential)
            if now is None:
                connection.end(TOKEN_ENDED, "token_revoked")
            elif now != reader and not connection.is_ending:
                self.hub.rename(connection, now)
                if now.names != reader.names:
                    self.begin(self._begin_anew(connection, now))

    async def _begin_anew(self, connection: Connection, reader: Reader) -> None:
        """Who has got another role sees other things than they were told of."""
        start: Start = await self.ask(start_at_head, reader.actor, "role_changed")
        if start.notice is not None and not connection.is_ending:
            connection.write(start.notice)

    async def _catch_up(self, connection: Connection) -> None:
        try:
            while not (connection.is_ending or connection.is_full):
                assert connection.reader is not None
                page = await self._page(connection.reader, connection.position)
                has_all = page is not None and _take(connection, page) and not page.more
                if has_all and self.hub.join(connection):
                    return
        finally:
            connection.is_catching_up = False

    async def _page(self, reader: Reader, after: int) -> Page | None:
        try:
            return await self.ask(read_page, reader, after)
        except Exception:
            # As in the loops: the client waits until the database is back.
            log.exception("live.failed", step="page")
            await asyncio.sleep(PAUSE_SECONDS)
            return None


def _take(connection: Connection, page: Page) -> bool:
    """Send a page; whether the client took all of it. The rest is read again when it goes on."""
    if connection.is_ending:
        return False
    if page.notice is not None:
        connection.write(page.notice)
    for message, position in page.messages:
        if not connection.offer(message, position):
            return False
    connection.position = page.position
    return not connection.is_full


def _bound(sock: socket.socket) -> None:
    """Let the kernel keep little for a client that is slow, and not long for one that has vanished."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if sock.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, VANISHED_MS)


def live_of_process() -> Live:
    """The loop of this process, begun when it is first needed: threads do not survive a fork."""
    with _making:
        found: Live | None = current_app.extensions.get("taskapi_live")
        if found is None:
            app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
            found = current_app.extensions["taskapi_live"] = Live(app)
        return found


def begin_to_leave(app: Flask) -> None:
    """Send all clients of this process to another one."""
    live: Live | None = app.extensions.get("taskapi_live")
    if live is not None:
        live.leave()


def finish_leaving(app: Flask) -> None:
    """Give the clients a moment to go, and end the loop."""
    live: Live | None = app.extensions.get("taskapi_live")
    if live is not None:
        with suppress(TimeoutError):
            live.leave().result(LEAVING_SECONDS)
        live.stop()
