"""Redis is a hint: asking it never raises, and a Redis that hangs holds up one caller, not all."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from structlog.testing import capture_logs

from taskapi.background import connection
from taskapi.background.connection import ask_redis


@pytest.fixture
def app() -> Flask:
    return Flask("asking")


@pytest.fixture
def hanging(app: Flask, tmp_path: Path) -> Iterator[None]:
    """A Redis that takes connections and says nothing."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "mute.sock"))
        listener.listen()
        app.extensions["taskapi_redis"] = Redis.from_url(f"unix://{tmp_path}/mute.sock", socket_timeout=0.3)
        with app.app_context():
            yield


def test_after_a_failure_nobody_waits_for_a_moment(hanging: None) -> None:
    with capture_logs() as lines:
        assert ask_redis(lambda redis: redis.ping()) is None
        started = time.monotonic()
        assert [ask_redis(lambda redis: redis.ping()) for _ in range(100)] == [None] * 100
        assert time.monotonic() - started < 3
    assert {line["event"] for line in lines} == {"redis.away"}
    assert len(lines) < 10, "not one for each who did not wait"


def test_soon_it_is_asked_again(app: Flask, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SILENCE_SECONDS", 0.05)
    client = app.extensions["taskapi_redis"] = Redis.from_url(redis_url)
    client.set("not a list", 1)
    with app.app_context():
        assert ask_redis(lambda redis: redis.lpop("not a list")) is None
        assert ask_redis(lambda redis: redis.ping()) is None
        time.sleep(0.06)
        assert ask_redis(lambda redis: redis.ping())
    client.flushdb()
    client.close()
