"""GET /health, /api/health and /api/health/ready"""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from taskapi.background.names import Queue
from taskapi.core.db import db, session, transaction
from taskapi.ops import service
from taskapi.ops.models import Heartbeat
from taskapi.version import VERSION
from tests.schedules.making import Time, at


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as connection:
        yield connection


def checks(client: FlaskClient, status: int) -> dict[str, dict[str, object]]:
    answer = client.get("/api/health/ready")
    assert answer.status_code == status, answer.text
    assert answer.json is not None
    found: dict[str, dict[str, object]] = answer.json["checks"]
    return found


def beat() -> None:
    with transaction():
        service.beat(name="scheduler-1", kind="scheduler")


def pretend_worker(redis: Redis) -> None:
    redis.sadd("rq:workers", "rq:worker:one")
    redis.hset("rq:worker:one", "queues", Queue.RUNS)


@pytest.mark.parametrize("path", ["/health", "/api/health"])
def test_a_live_process_says_so_without_the_database(app: Flask, client: FlaskClient, path: str) -> None:
    with app.app_context():
        statements: list[str] = []
        sa.event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert client.get(path).json == {"status": "ok", "name": "taskapi", "version": VERSION}
    assert statements == []


def test_ready_when_everything_is_up(context: Flask, client: FlaskClient, redis: Redis) -> None:
    beat()
    pretend_worker(redis)
    found = checks(client, 200)
    assert {name: check["ok"] for name, check in found.items()} == dict.fromkeys(
        ["database", "redis", "migrations", "scheduler", "workers"], True
    )
    assert found["workers"]["count"] == 1


def test_a_silent_scheduler_and_missing_workers_are_named(context: Flask, client: FlaskClient) -> None:
    with Time(at("2026-11-20 09:00")).running() as time:
        beat()
        time.pass_(seconds=11)
        found = checks(client, 503)
    assert found["scheduler"]["ok"] is False
    assert found["scheduler"]["last_heartbeat"] == "2026-11-20T09:00:00Z"
    assert found["workers"]["ok"] is False


def test_a_database_that_is_not_migrated_is_named(context: Flask, client: FlaskClient) -> None:
    change = "UPDATE alembic_version SET version_num = :version"
    with transaction():
        session().execute(sa.text(change), {"version": "0000"})
    try:
        assert "flask db upgrade" in str(checks(client, 503)["migrations"]["detail"])
    finally:
        with transaction():
            session().execute(sa.text(change), {"version": "0001"})


def test_redis_away_is_named_without_its_address(context: Flask, client: FlaskClient) -> None:
    there = context.extensions["taskapi_redis"]
    context.extensions["taskapi_redis"] = Redis.from_url("unix:///secret/place.sock")
    try:
        answer = client.get("/api/health/ready")
    finally:
        context.extensions["taskapi_redis"] = there
    assert answer.status_code == 503
    assert "place" not in answer.text
    assert answer.json is not None
    assert answer.json["checks"]["redis"]["ok"] is False


def test_heartbeats_are_renewed_and_forgotten_after_a_day(context: Flask) -> None:
    with Time(at("2026-11-20 09:00")).running() as time:
        beat()
        time.pass_(seconds=5)
        beat()
        assert session().scalars(sa.select(Heartbeat.seen_at)).all() == [time.now]
        time.pass_(hours=25)
        with transaction():
            service.beat(name="scheduler-2", kind="scheduler")
        assert session().scalars(sa.select(Heartbeat.name)).all() == ["scheduler-2"]
