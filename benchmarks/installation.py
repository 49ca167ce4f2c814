"""An application on a PostgreSQL and a Valkey of its own, for measuring; nothing is left behind."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade

from taskapi.app import create_app
from taskapi.background.connection import redis_client
from taskapi.background.embedded import EmbeddedRedis
from taskapi.config import embedded_redis_url, load_settings
from taskapi.core.db import db
from tests.postgresql import start_postgresql

POSTGRESQL = {"shared_buffers": "512MB", "max_connections": "300", "fsync": "on", "synchronous_commit": "on"}


@contextmanager
def installation(database: str = "postgresql", **settings: str) -> Iterator[Flask]:
    """The application, on an empty and migrated database, ``postgresql`` or ``sqlite``."""
    folder = Path(tempfile.mkdtemp(prefix="taskapi-benchmark-"))
    redis = EmbeddedRedis(folder)
    redis.start()
    try:
        with _database(folder, database) as url:
            app = create_app(load_settings(_settings(folder, url) | settings))
            with app.app_context():
                upgrade()
            yield app
            with app.app_context():
                db.engine.dispose()
    finally:
        redis.stop()
        shutil.rmtree(folder, ignore_errors=True)


def servers(app: Flask) -> str:
    """What the installation runs on, with versions."""
    with app.app_context(), db.engine.connect() as connection:
        database = connection.exec_driver_sql("SHOW server_version").scalar_one()
        redis: Any = redis_client().info("server")
    return f"PostgreSQL {database}, Valkey {redis['valkey_version']}"


@contextmanager
def _database(folder: Path, kind: str) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{quote(str(folder / 'taskapi.db'))}"
        return
    server = start_postgresql(folder)
    try:
        _tune(server, folder / "data")
        yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(False)
    finally:
        server.cleanup()


def _tune(server: Any, data: Path) -> None:
    """Memory as for a small server of its own; what is written stays safe (fsync, synchronous_commit)."""
    for name, value in POSTGRESQL.items():
        server.psql(f"ALTER SYSTEM SET {name} = '{value}'")
    command = (server.bin_path / "pg_ctl", "-w", "-D", data, "-l", data / "log", "-m", "fast", "restart")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=server.system_user)


def _settings(folder: Path, database_url: str) -> dict[str, str]:
    limits = {f"RATE_LIMIT_{name}": "off" for name in ("DEFAULT", "AUTH", "ACCOUNT")}
    return {
        "SECRET_KEY": "a secret for benchmarks that is long enough",
        "DATA_DIR": str(folder),
        "REDIS_URL": embedded_redis_url(folder),
        "DATABASE_URL": database_url,
        "LOG_LEVEL": "ERROR",
        **limits,
    }
