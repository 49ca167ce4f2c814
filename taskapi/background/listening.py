"""Listening to a channel of Redis in an event loop."""

import asyncio
from collections.abc import Callable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from taskapi.background.connection import CONNECT_TIMEOUT_SECONDS
from taskapi.config import Settings

log = structlog.get_logger(__name__)

LISTEN_SECONDS = 5.0
PAUSE_SECONDS = 1.0


async def listen(settings: Settings, channel: str, heard: Callable[[], object]) -> None:
    """Call ``heard`` for each message until cancelled; while Redis is away, keep knocking.

    What was published meanwhile is lost: who listens must also look by themselves.
    """
    while True:
        try:
            await _listen(settings, channel, heard)
        except (RedisError, OSError) as error:
            log.warning("redis.away", error=str(error))
        await asyncio.sleep(PAUSE_SECONDS)


async def _listen(settings: Settings, channel: str, heard: Callable[[], object]) -> None:
    client: Redis = Redis.from_url(
        settings.redis_url, socket_connect_timeout=CONNECT_TIMEOUT_SECONDS, health_check_interval=30
    )
    async with client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(channel)
        while True:
            if await subscription.get_message(timeout=LISTEN_SECONDS) is not None:
                heard()
