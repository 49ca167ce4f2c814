"""The connection to Redis. Redis is a hint: whoever uses it must get along without."""

from flask import Flask, current_app
from redis import Redis

from taskapi.config import Settings

# A request must not hang on a hint; workers wait for jobs with a time limit of their own.
CONNECT_TIMEOUT_SECONDS = 1.0
ANSWER_TIMEOUT_SECONDS = 3.0


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
    )
    return client


def redis_client() -> Redis:
    """The client of the running application."""
    client: Redis = current_app.extensions["taskapi_redis"]
    return client
