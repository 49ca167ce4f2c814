"""The connection to Redis. Redis is a hint: whoever uses it must get along without."""

import time
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

import structlog
from flask import Flask, current_app
from redis import Redis
from redis.exceptions import RedisError

from taskapi.config import Settings
from taskapi.core.errors import Unavailable

log = structlog.get_logger(__name__)
T = TypeVar("T")

# A request must not hang on a hint; workers wait for jobs with a time limit of their own.
CONNECT_TIMEOUT_SECONDS = 1.0
ANSWER_TIMEOUT_SECONDS = 1.5
SILENCE_SECONDS = 2.0
MAX_CONNECTIONS = 1_000

# Until when a client is not asked, by the monotonic clock.
_silence: WeakKeyDictionary[Redis, float] = WeakKeyDictionary()


class RedisUnavailable(Unavailable):
    """Redis does not answer. What is due waits in the database, and nothing is lost."""

    code = "redis_unavailable"
    title = "Redis unavailable"


def init_redis(app: Flask, settings: Settings) -> None:
    """Give the application its connection pool; nothing is connected yet."""
    app.extensions["taskapi_redis"] = open_redis(settings)


def open_redis(settings: Settings) -> Redis:
    """A client with a pool of its own; it connects on first use."""
    client: Redis = Redis.from_url(
        settings.redis_url,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_timeout=ANSWER_TIMEOUT_SECONDS,
        health_check_interval=30,
        # Each thread of a worker has one; the client's own bound is a hundred.
        max_connections=MAX_CONNECTIONS,
    )
    return client


def ask_redis(question: Callable[[Redis], T]) -> T | None:
    """The answer to ``question``, or None while Redis is away.

    After a failure nobody asks for a moment: a Redis that hangs would hold up each request
    for as long as the time limit allows.
    """
    client = redis_client()
    if time.monotonic() < _silence.get(client, 0.0):
        return None
    try:
        return question(client)
    except RedisError as error:
        _silence[client] = time.monotonic() + SILENCE_SECONDS
        log.warning("redis.away", error=str(error))
        return None


def redis_client() -> Redis:
    """The client of the running application."""
    client: Redis = current_app.extensions["taskapi_redis"]
    return client
