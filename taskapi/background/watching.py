"""Waiting for work on several queues at once, without taking it off them.

RQ pops from several lists with BLPOP: what was popped is lost when the process dies before it noted so.
Here Redis is asked to tell of changes to keys that were read (client-side caching, Redis 6): it tells
once, whoever pushed, and the work stays where it is until it is taken and noted in one step. One that
cannot tell, or may not, is looked at several times a second.
"""

import time
from collections.abc import Callable, Sequence

import structlog
from redis import Redis
from redis.exceptions import ResponseError

log = structlog.get_logger(__name__)

# Within this time a process that waits sees that it is to leave.
GLANCE_SECONDS = 0.25


class QueueWatch:
    """Tells when one of these lists may have an entry, over a connection of its own."""

    def __init__(self, redis: Redis, keys: Sequence[str]) -> None:
        pool = redis.connection_pool
        # Only this version of the protocol tells on the connection that asked.
        self._connection = pool.connection_class(**{**pool.connection_kwargs, "protocol": 3})
        self._keys = keys
        self._is_untold = False

    def close(self) -> None:
        """Give up the connection."""
        self._connection.disconnect()

    def wait(self, seconds: float, is_over: Callable[[], bool]) -> None:
        """Return when something was pushed, at the latest after ``seconds`` or when ``is_over``.

        Raises:
            RedisError
        """
        until = time.monotonic() + seconds
        try:
            there = self._ask()
        except ResponseError as error:
            self._do_without(error)
            return
        while not there and not is_over() and time.monotonic() < until:
            there = self._connection.can_read(timeout=GLANCE_SECONDS)

    def _do_without(self, error: ResponseError) -> None:
        if not self._is_untold:
            log.warning("worker.not_told_of_work", error=str(error), look_seconds=GLANCE_SECONDS)
        self._is_untold = True
        time.sleep(GLANCE_SECONDS)

    def _ask(self) -> bool:
        """Whether an entry is there already; if not, its coming will be told."""
        connection = self._connection
        # Each time, as a connection that was lost and made again would keep silent.
        commands = [("CLIENT", "TRACKING", "ON"), ("EXISTS", *self._keys)]
        connection.send_packed_command(connection.pack_commands(commands))
        try:
            connection.read_response()
        except ResponseError:
            # The second answer would be taken for that of the next question.
            connection.disconnect()
            raise
        return bool(connection.read_response())
