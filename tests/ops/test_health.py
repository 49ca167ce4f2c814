"""GET /health, /api/health and /api/health/ready"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from taskapi.app import create_app
from taskapi.background.names import Queue
from taskapi.clients.storage.base import ObjectMissing, StorageUnavailable
from taskapi.core.db import db, session, transaction
from taskapi.core.heartbeats import Heartbeat
from taskapi.core.migrations import head_revision
from taskapi.ops import audit, service, storing
from taskapi.schedules.engine import claims
from taskapi.version import VERSION
from tests.e2e.conftest import free_port
from tests.files.making import store as store_file
from tests.people import Person
from tests.schedules.making import Time, at, make


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
        ["database", "redis", "migrations", "scheduler", "schedules", "clock", "workers", "storage"], True
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


def test_what_is_not_done_in_time_is_named(
    context: Flask, client: FlaskClient, redis: Redis, owner: Person
) -> None:
    with Time(at("2026-11-20 09:00")).running() as time:
        make(owner, every=60)
        time.pass_(seconds=70)
        beat()
        pretend_worker(redis)
        assert checks(client, 200)["schedules"]["ok"] is True
        time.pass_(seconds=1)
        found = checks(client, 503)["schedules"]
    assert (found["ok"], found["overdue"]) == (False, 1)


def test_a_dead_lease_that_nobody_rescues_is_named(
    context: Flask, client: FlaskClient, redis: Redis, owner: Person
) -> None:
    with Time(at("2026-11-20 09:00")).running() as time:
        schedule = make(owner, every=3600)
        run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
        with transaction():
            claims.claim_run(run_id, worker="gone", lease_seconds=20)
        time.pass_(seconds=51)
        beat()
        pretend_worker(redis)
        assert checks(client, 503)["schedules"]["dead_leases"] == 1


def test_a_clock_that_is_off_is_named(
    context: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "clock_offset", lambda: -6.5)
    clock = checks(client, 503)["clock"]
    assert (clock["ok"], clock["offset_seconds"]) == (False, -6.5)


def test_a_database_that_is_not_migrated_is_named(context: Flask, client: FlaskClient) -> None:
    change = "UPDATE alembic_version SET version_num = :version"
    with transaction():
        session().execute(sa.text(change), {"version": "0000"})
    try:
        assert "flask db upgrade" in str(checks(client, 503)["migrations"]["detail"])
    finally:
        with transaction():
            session().execute(sa.text(change), {"version": head_revision()})


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


@pytest.mark.one_database
def test_a_database_that_is_away_is_named(app: Flask, tmp_path: Path) -> None:
    nowhere = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nothing"
    settings = app.extensions["taskapi_settings"]
    alone = create_app(replace(settings, database_url=nowhere, db_connect_timeout=1, data_dir=tmp_path))
    assert checks(alone.test_client(), 503)["database"]["ok"] is False


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


def queue_run(owner: Person, redis: Redis, *, state: str, time: Time) -> None:
    """A run is queued, and a worker is in this state since then."""
    schedule = make(owner, every=3600)
    owner.post(f"/api/schedules/{schedule['id']}/run")
    pretend_worker(redis)
    fields: dict[Any, Any] = {"state": state, "last_heartbeat": time.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    redis.hset("rq:worker:one", mapping=fields)


def test_a_run_that_no_worker_begins_is_named(
    context: Flask, redis: Redis, client: FlaskClient, owner: Person
) -> None:
    with Time(at("2026-11-20 09:00")).running() as time:
        queue_run(owner, redis, state="busy", time=time)
        time.pass_(seconds=9)
        beat()
        assert checks(client, 200)["schedules"]["unstarted"] == 0
        time.pass_(seconds=2)
        beat()
        found = checks(client, 503)["schedules"]
        assert (found["ok"], found["unstarted"]) == (False, 1)
        assert audit.audit()["unstarted"] == 1


def test_when_the_only_worker_was_killed_both_it_and_what_waits_are_named(
    context: Flask, redis: Redis, client: FlaskClient, owner: Person
) -> None:
    with Time(at("2026-11-20 09:00")).running() as time:
        queue_run(owner, redis, state="busy", time=time)
        # Its entry runs out; from the list of workers only another one would take it.
        redis.delete("rq:worker:one")
        time.pass_(seconds=11)
        beat()
        found = checks(client, 503)
        assert (found["workers"]["ok"], found["workers"]["count"]) == (False, 0)
        assert (found["schedules"]["ok"], found["schedules"]["unstarted"]) == (False, 1)


@pytest.fixture
def forgetful(app: Flask) -> Iterator[None]:
    """What is known of the store is forgotten, before and after."""
    app.extensions.pop("taskapi_store_watch", None)
    yield
    app.extensions.pop("taskapi_store_watch", None)


class Store:
    """Answers like this, after so many seconds."""

    def __init__(self, answer: Exception, seconds: float = 0.0) -> None:
        self.answer, self.seconds, self.asked = answer, seconds, 0

    def open(self, _key: str) -> None:
        self.asked += 1
        sleep(self.seconds)
        raise self.answer


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("make_store", "status"),
    [
        (lambda: Store(ObjectMissing()), "ok"),
        (lambda: Store(StorageUnavailable()), "degraded"),
        (lambda: Store(ObjectMissing(), seconds=0.6), "degraded"),
    ],
    ids=["there", "away", "hangs"],
)
def test_a_store_that_is_away_is_told_but_takes_nobody_out_of_service(
    forgetful: None,
    monkeypatch: pytest.MonkeyPatch,
    context: Flask,
    client: FlaskClient,
    redis: Redis,
    owner: Person,
    make_store: Callable[[], Store],
    status: str,
) -> None:
    beat()
    pretend_worker(redis)
    store_file(owner)
    monkeypatch.setattr(storing, "PATIENCE_SECONDS", 0.2)
    there, store = context.extensions["taskapi_storage"], make_store()
    context.extensions["taskapi_storage"] = store
    try:
        answers = [client.get("/api/health/ready") for _ in range(2)]
    finally:
        context.extensions["taskapi_storage"] = there
    for answer in answers:
        assert answer.json is not None
        assert (answer.status_code, answer.json["status"]) == (200, status)
        assert answer.json["checks"]["storage"]["ok"] is (status == "ok")
    assert store.asked == 1, "it is remembered for a while"
