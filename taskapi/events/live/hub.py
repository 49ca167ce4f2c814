"""Who is told of an event at once: all connections that have reached the same position of the log."""

import asyncio
from collections.abc import Collection
from uuid import UUID

from taskapi.events.live import outgoing
from taskapi.events.live.connection import Connection
from taskapi.events.live.outgoing import Outgoing
from taskapi.events.live.readers import Batch, Reader
from taskapi.events.messages import Telling

# The loop serves others after so many connections were told something.
TOLD_AT_A_TIME = 200


class Hub:
    """The connections at the head of the log, found by the names of their readers.

    Attributes:
        position: how far they have been told; only right while there are any.
    """

    def __init__(self) -> None:
        self.position = 0
        self.is_wanted = asyncio.Event()
        self._by_name: dict[UUID, set[Connection]] = {}
        self._told = 0

    def join(self, connection: Connection) -> bool:
        """Let the connection be told from now on; whether it has come far enough for that.

        One that has come further is not told again what it knows.
        """
        if not self._by_name:
            self.position = connection.position
        elif connection.position < self.position:
            return False
        self._enter(connection)
        connection.is_live = True
        self.is_wanted.set()
        return True

    def leave(self, connection: Connection) -> None:
        connection.is_live = False
        for name in connection.names:
            same_name = self._by_name.get(name, set())
            same_name.discard(connection)
            if not same_name:
                self._by_name.pop(name, None)
        if not self._by_name:
            self.is_wanted.clear()

    def rename(self, connection: Connection, reader: Reader) -> None:
        """The reader of the connection is somebody else by now, such as no administrator any more."""
        was_live = connection.is_live
        if was_live:
            self.leave(connection)
        connection.reader = reader
        if was_live:
            # Not by join(): nobody else may have been there, and the position must not go back.
            connection.is_live = True
            self._enter(connection)
            self.is_wanted.set()

    def _enter(self, connection: Connection) -> None:
        for name in connection.names:
            self._by_name.setdefault(name, set()).add(connection)

    async def deliver(self, batch: Batch) -> None:
        """Tell everybody of a batch; one that was read for others, who have left, is put away."""
        position = batch.after
        for telling in batch.tellings:
            if self.position != position or not self._by_name:
                return
            self._tell(telling, batch.farewells.get(telling.event.position or 0, set()))
            self.position = position = telling.event.position or position
            if self._told >= TOLD_AT_A_TIME:
                self._told = 0
                await asyncio.sleep(0)
        if self.position == position:
            self.position = batch.until

    def _tell(self, telling: Telling, farewells: set[UUID]) -> None:
        position = telling.event.position or 0
        views: dict[tuple[str, bool], Outgoing] = {}
        for connection in self._concerned(telling.readers.now | telling.readers.formerly | farewells):
            if connection.position >= position:
                continue
            message = telling.to(connection.names, is_farewell=not farewells.isdisjoint(connection.names))
            if message is None:
                continue
            view = (message.type, message.deleted)
            if view not in views:
                views[view] = outgoing.event(message)
            self._told += 1
            if not connection.offer(views[view], position):
                self.leave(connection)

    def _concerned(self, names: Collection[UUID]) -> set[Connection]:
        found: set[Connection] = set()
        for name in names:
            found |= self._by_name.get(name, set())
        return found
