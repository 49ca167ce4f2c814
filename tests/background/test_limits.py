"""Counts of rate limits in Redis."""

from collections.abc import Iterator

import pytest
from flask import Flask
from redis import Redis

from taskapi.background.limits import count_in_redis


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """The Redis of an application whose context is open."""
    app = Flask("counting")
    client: Redis = Redis.from_url(redis_url)
    app.extensions["taskapi_redis"] = client
    with app.app_context():
        yield client
    client.flushdb()
    client.close()


def test_it_tells_the_count_and_the_time_that_is_left(redis: Redis) -> None:
    counted = [count_in_redis("key", 60) for _ in range(3)]
    assert [found[0] for found in counted if found] == [1, 2, 3]
    assert all(59 < found[1] <= 60 for found in counted if found)


def test_the_time_that_is_left_is_not_rounded_down(redis: Redis) -> None:
    count_in_redis("key", 60)
    redis.pexpire("taskapi:limit:key", 30_400)
    found = count_in_redis("key", 60)
    assert found is not None
    assert 30.0 < found[1] <= 30.4


def test_it_counts_on_when_redis_was_flushed(redis: Redis) -> None:
    count_in_redis("key", 60)
    redis.flushall()
    redis.script_flush()
    found = count_in_redis("key", 60)
    assert found is not None
    assert found[0] == 1


def test_while_redis_is_away_it_counts_nothing() -> None:
    app = Flask("counting")
    app.extensions["taskapi_redis"] = Redis.from_url("unix:///nowhere.sock")
    with app.app_context():
        assert count_in_redis("key", 60) is None
