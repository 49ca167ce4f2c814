"""The shared cache in Redis."""

from taskapi.background.connection import ask_redis

PREFIX = "taskapi:cache:"


class RedisCache:
    """Keeps values under the keys it is given; while Redis is away, nothing."""

    def get(self, key: str) -> bytes | None:
        found = ask_redis(lambda redis: redis.get(PREFIX + key))
        return found if isinstance(found, bytes) else None

    def put(self, key: str, value: bytes, *, seconds: float) -> bool | None:
        return ask_redis(lambda redis: bool(redis.set(PREFIX + key, value, px=milliseconds(seconds))))

    def add(self, key: str, value: bytes, *, seconds: float) -> bool | None:
        return ask_redis(
            lambda redis: bool(redis.set(PREFIX + key, value, px=milliseconds(seconds), nx=True))
        )

    def remove(self, key: str) -> bool | None:
        return ask_redis(lambda redis: bool(redis.delete(PREFIX + key)))


def milliseconds(seconds: float) -> int:
    """As Redis wants lives: whole, and never none at all."""
    return max(1, round(seconds * 1000))
