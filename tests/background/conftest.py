"""Fixtures of the background tests."""

from collections.abc import Iterator

import pytest
from redis import Redis


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """An empty Redis, without an application."""
    with Redis.from_url(redis_url) as client:
        client.flushdb()
        yield client
