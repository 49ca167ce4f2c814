"""Waiting for work: Redis tells of it at once, whichever queue it comes to."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as Disconnected

from taskapi.background import watching
from taskapi.background.watching import QueueWatch

pytestmark = pytest.mark.one_database
KEYS = ("rq:queue:first", "rq:queue:second")
LONG = 20.0


@pytest.fixture
def watch(redis: Redis) -> Iterator[QueueWatch]:
    with closing(QueueWatch(redis, KEYS)) as watch:
        yield watch


def waits(watch: QueueWatch, meanwhile: Callable[[], object]) -> float:
    """For how many seconds it waits when this is done a little later."""
    timer = threading.Timer(0.05, meanwhile)
    begun = time.monotonic()
    timer.start()
    watch.wait(LONG, lambda: False)
    timer.join()
    return time.monotonic() - begun


@pytest.mark.parametrize("key", KEYS)
def test_work_for_any_queue_ends_the_wait_again_and_again(redis: Redis, watch: QueueWatch, key: str) -> None:
    for _ in range(3):
        assert waits(watch, lambda: redis.rpush(key, "job")) < LONG / 4
        redis.delete(key)


def test_what_is_there_already_is_not_waited_for(redis: Redis, watch: QueueWatch) -> None:
    redis.rpush(KEYS[1], "job")
    begun = time.monotonic()
    watch.wait(LONG, lambda: False)
    assert time.monotonic() - begun < LONG / 4


def test_it_is_told_again_over_a_new_connection(redis: Redis, watch: QueueWatch) -> None:
    watch.wait(0, lambda: True)
    redis.client_kill_filter(_type="normal", skipme=True)
    # The first only finds the loss.
    with pytest.raises(Disconnected):
        watch.wait(LONG, lambda: False)
    assert waits(watch, lambda: redis.rpush(KEYS[0], "job")) < LONG / 4


def test_one_that_is_to_leave_does_not_wait(watch: QueueWatch) -> None:
    begun = time.monotonic()
    watch.wait(LONG, lambda: True)
    assert time.monotonic() - begun < LONG / 4


def test_a_redis_that_may_not_tell_is_looked_at_every_moment(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    redis.acl_setuser("untold", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-client|tracking"])
    try:
        pool = redis.connection_pool
        untold = Redis(connection_pool=type(pool)(pool.connection_class, **pool.connection_kwargs))
        untold.connection_pool.connection_kwargs["username"] = "untold"
        with closing(QueueWatch(untold, KEYS)) as watch:
            for _ in range(2):
                watch.wait(LONG, lambda: False)
    finally:
        redis.acl_deluser("untold")
    assert naps == [watching.GLANCE_SECONDS] * 2
