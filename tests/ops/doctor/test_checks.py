"""What each check of ``flask admin doctor`` finds"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade
from redis import Redis

from taskapi.app import create_app
from taskapi.clients.storage.disk import DiskStorage
from taskapi.core.db import db, transaction
from taskapi.ops import service
from taskapi.ops.doctor import servers
from taskapi.ops.doctor.examination import CHECKS, examine
from tests.conftest import settings_for
from tests.files.making import replace_object, store
from tests.ops.doctor.conftest import Look
from tests.people import Person
from tests.schedules.making import Time, make

Settings = Callable[..., None]


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as connection:
        yield connection
        connection.config_set("maxmemory", 0)
        connection.config_set("maxmemory-policy", "noeviction")


def test_the_database_tells_its_version(app: Flask, look: Look) -> None:
    found = look("database")
    assert found.status == "ok"
    assert found.detail.startswith(("SQLite 3", "PostgreSQL 1"))


@pytest.mark.one_database
def test_a_damaged_database_is_found(app: Flask, tmp_path: Path, redis_url: str) -> None:
    other = create_app(settings_for(tmp_path, redis_url))
    path = tmp_path / "taskapi.db"
    with other.app_context():
        upgrade()
        db.session.remove()
        db.engine.dispose()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'users'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    found = {finding.check: finding for finding in examine(other, CHECKS[:1])}["database"]
    assert found.status == "fail"


@pytest.mark.one_database
def test_a_database_without_tables_is_told_how_to_get_them(
    app: Flask, tmp_path: Path, redis_url: str
) -> None:
    other = create_app(settings_for(tmp_path, redis_url))
    found = {finding.check: finding for finding in examine(other, CHECKS)}
    assert (found["migrations"].status, found["migrations"].advice) == ("fail", "run 'flask db upgrade'")
    assert found["work"].status == "skip"
    with other.app_context():
        db.engine.dispose()


@pytest.mark.parametrize(("revision", "status"), [("0001", "fail"), ("9999", "warn")])
def test_tables_of_another_version_are_found(app: Flask, look: Look, revision: str, status: str) -> None:
    change = sa.text("UPDATE alembic_version SET version_num = :revision")
    with app.app_context():
        engine = db.engine.execution_options(taskapi_writes=True)
        with engine.begin() as connection:
            before = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
            connection.execute(change, {"revision": revision})
        try:
            assert look("migrations").status == status
        finally:
            with engine.begin() as connection:
                connection.execute(change, {"revision": before})


def test_clocks_that_differ_are_found(app: Flask, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look("clock").status == "ok"
    monkeypatch.setattr(servers, "clock_offset", lambda: -7.5)
    found = look("clock")
    assert (found.status, "7.5 s" in found.detail) == ("fail", True)


@pytest.mark.one_database
def test_a_redis_that_throws_jobs_away_is_found(app: Flask, look: Look, redis: Redis) -> None:
    redis.config_set("maxmemory", 100_000_000)
    assert look("redis").status == "ok"
    redis.config_set("maxmemory-policy", "allkeys-lru")
    found = look("redis")
    assert (found.status, "allkeys-lru" in found.detail) == ("warn", True)


@pytest.mark.one_database
def test_nothing_is_left_in_the_store(app: Flask, look: Look, tmp_path: Path) -> None:
    disk = DiskStorage(tmp_path / "files")
    app.extensions["taskapi_storage"], real = disk, app.extensions["taskapi_storage"]
    try:
        assert look("storage").status == "ok"
    finally:
        app.extensions["taskapi_storage"] = real
    assert list(disk.walk()) == []
    assert list(disk.incoming.iterdir()) == []


@pytest.mark.one_database
def test_a_store_that_cannot_be_written_is_found(app: Flask, look: Look) -> None:
    real = app.extensions["taskapi_storage"]
    app.extensions["taskapi_storage"] = DiskStorage(Path("/proc/nowhere"))
    try:
        found = look("storage")
    finally:
        app.extensions["taskapi_storage"] = real
    assert (found.status, "No such file" in found.detail) == ("fail", True)


@pytest.mark.one_database
@pytest.mark.parametrize(("free", "status"), [(10**11, "ok"), (5 * 10**8, "warn"), (10**7, "fail")])
def test_a_disk_that_fills_up_is_found(
    app: Flask, look: Look, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    usage = shutil.disk_usage("/")._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    assert look("disk").status == status


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({}, "ok"),
        ({"environment": "production"}, "ok"),
        ({"secret_key": "changeme"}, "warn"),
        ({"secret_key": "changeme", "public_url": "https://tasks.example.org"}, "fail"),
        ({"public_url": "https://tasks.example.org"}, "warn"),
        ({"host": "0.0.0.0"}, "warn"),
    ],
    ids=["development", "production", "weak", "weak-and-public", "public", "listens-to-all"],
)
def test_the_secret_key_is_judged(
    app: Flask, look: Look, settings: Settings, values: dict[str, str], status: str
) -> None:
    settings(**values)
    assert look("secret key").status == status


@pytest.mark.one_database
@pytest.mark.parametrize(("mode", "status"), [(0o600, "ok"), (0o640, "warn"), (0o604, "warn")])
def test_files_that_others_read_are_found(
    app: Flask, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, status: str
) -> None:
    (tmp_path / ".env").touch(mode=0o600)
    (tmp_path / ".env").chmod(mode)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    found = look("private files")
    assert (found.status, ".env" in found.detail) == (status, status == "warn")


@pytest.mark.one_database
def test_mail_in_files_that_others_read_is_found(
    app: Flask, look: Look, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mail").mkdir(mode=0o700)
    tmp_path.chmod(0o755)
    settings(data_dir=tmp_path)
    monkeypatch.chdir(tmp_path)
    assert look("private files").status == "ok"
    (tmp_path / "mail").chmod(0o755)
    found = look("private files")
    assert (found.status, found.advice) == ("warn", f"run 'chmod go= {tmp_path / 'mail'}'")
    tmp_path.chmod(0o700)
    assert look("private files").status == "ok"


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"environment": "production"}, "ok"),
        ({"host": "0.0.0.0"}, "warn"),
        ({"metrics_token": "short"}, "warn"),
        ({"metrics_token": "x" * 48, "host": "0.0.0.0"}, "ok"),
    ],
    ids=["off", "open", "weak", "closed"],
)
def test_open_metrics_are_found(
    app: Flask, look: Look, settings: Settings, values: dict[str, str], status: str
) -> None:
    settings(**values)
    assert look("metrics").status == status


def test_a_silent_scheduler_is_found(app: Flask, look: Look, time: Time) -> None:
    with app.app_context(), transaction():
        service.beat(name="scheduler-1", kind="scheduler")
    time.pass_(seconds=9)
    assert look("scheduler").status == "ok"
    time.pass_(seconds=2)
    assert (look("scheduler").status, look("scheduler").detail) == ("fail", "silent for 11 s")


@pytest.mark.one_database
def test_a_queue_that_nobody_serves_is_found(app: Flask, look: Look, redis: Redis) -> None:
    redis.sadd("rq:workers", "rq:worker:old")
    redis.hset("rq:worker:old", "queues", "housekeeping,runs,calls,mail")
    found = look("workers")
    assert found.status == "fail"
    assert "nobody works on webhooks" in found.detail


def test_overdue_work_is_found(app: Flask, owner: Person, look: Look, time: Time) -> None:
    make(owner, every=60)
    assert look("work").status == "ok"
    time.pass_(seconds=75)
    found = look("work")
    assert (found.status, found.detail) == ("fail", "1 schedules overdue")


def test_damaged_files_are_found(app: Flask, owner: Person, look: Look) -> None:
    file = store(owner)
    replace_object(app, file, b"something else")
    assert look("files").status == "ok"
    owner.post(f"/api/files/{file}/verify")
    assert (look("files").status, look("files").detail) == ("fail", "0 missing, 1 changed")


def test_messages_that_did_not_arrive_are_found(app: Flask, look: Look) -> None:
    assert (look("e-mails").status, look("webhooks").status) == ("ok", "ok")
    email = "INSERT INTO emails (id, key, kind, recipient, subject, text, html, status, attempts, created_at)"
    values = " VALUES (:id, 'k', 'reminder', 'a@example.org', 's', 't', 'h', 'failed', 1, CURRENT_TIMESTAMP)"
    with app.app_context(), db.engine.execution_options(taskapi_writes=True).begin() as connection:
        connection.execute(sa.text(email + values), {"id": "0" * 31 + "1"})
    found = look("e-mails")
    assert (found.status, found.detail.startswith("1 failed")) == ("warn", True)
