"""Rate limits' counts in Redis, which all processes share."""

import time
from weakref import WeakKeyDictionary

from limits.storage import RedisStorage
from redis import Redis

from taskapi.background.connection import ask_redis


class Counts(RedisStorage):
    """Counts over the connections of a client that exists already."""

    def __init__(self, client: Redis) -> None:
        super().__init__("redis://", connection_pool=client.connection_pool, key_prefix="taskapi:limit")

    def get_expiry(self, key: str) -> float:
        """When the count is forgotten, in seconds since 1970."""
        # TTL rounds to whole seconds, also down: who waited as told would come too early.
        milliseconds: int = self.storage.pttl(self.prefixed_key(key))
        return time.time() + max(milliseconds, 0) / 1000


_counts: WeakKeyDictionary[Redis, Counts] = WeakKeyDictionary()


def count_in_redis(key: str, seconds: int) -> tuple[int, float] | None:
    """Count one more under a key that Redis forgets after so many seconds.

    Returns:
        the count and the seconds that are left, or None while Redis is away.
    """
    return ask_redis(lambda client: _count(_counts_of(client), key, seconds))


def _count(counts: Counts, key: str, seconds: int) -> tuple[int, float]:
    return counts.incr(key, seconds), counts.get_expiry(key) - time.time()


def _counts_of(client: Redis) -> Counts:
    found = _counts.get(client)
    if found is None:
        found = _counts[client] = Counts(client)
    return found
