"""The database and Redis: do they answer, and are they set up as this service needs them."""

from typing import Any

import sqlalchemy as sa
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from taskapi.background.connection import redis_client
from taskapi.core.db import db, session
from taskapi.core.migrations import head_revision
from taskapi.core.runtime import runtime_settings
from taskapi.ops.audit import clock_offset, is_off
from taskapi.ops.doctor.findings import Finding, fail, ok, warn

MIGRATE = "run 'flask db upgrade'"


def look_at_database() -> Finding:
    """It answers, and SQLite's file is whole."""
    try:
        return _look_at_sqlite() if runtime_settings().uses_sqlite else _look_at_postgresql()
    except DBAPIError as error:
        # The driver's first line only: the statement and its values may hold secrets.
        reason = (str(error.orig).strip() or type(error.orig).__name__).splitlines()[0]
        return fail(f"does not answer: {reason}", "start it, or correct DATABASE_URL")


def _look_at_sqlite() -> Finding:
    version = session().scalar(sa.text("SELECT sqlite_version()"))
    mode = session().scalar(sa.text("PRAGMA journal_mode"))
    verdict = session().scalar(sa.text("PRAGMA quick_check(1)"))
    detail = f"SQLite {version} at {db.engine.url.database}, journal {str(mode).upper()}"
    if verdict != "ok":
        return fail(f"{detail}: damaged: {verdict}", "stop the service and restore the newest backup")
    if mode != "wal":
        return warn(detail, "put it on a local disk: without WAL readers and writers wait for each other")
    return ok(f"{detail}, intact")


def _look_at_postgresql() -> Finding:
    version = session().scalar(sa.text("SHOW server_version"))
    read_only = session().scalar(sa.text("SHOW transaction_read_only"))
    detail = f"PostgreSQL {version} at {db.engine.url.host or 'its socket'}"
    if read_only == "on":
        return fail(f"{detail} takes no writes", "let DATABASE_URL name the primary, not a replica")
    return ok(detail)


def look_at_migrations() -> Finding:
    """The tables are those that this version works with."""
    try:
        revision = session().scalar(sa.text("SELECT version_num FROM alembic_version"))
    except DBAPIError:
        revision = None
    head = head_revision()
    if revision == head:
        return ok(f"at {head}")
    if revision is None:
        return fail("the database has no tables yet", MIGRATE)
    if revision > head:
        return warn(f"at {revision}, ahead of {head} of this version", "finish the upgrade of this machine")
    return fail(f"at {revision}, behind {head}", MIGRATE)


def look_at_clock() -> Finding:
    """This host's clock and the database's agree."""
    offset = clock_offset()
    detail = f"the database's clock differs from this host's by {abs(offset):.1f} s"
    if is_off(offset):
        return fail(detail, "have NTP set both clocks (timedatectl, chronyc tracking)")
    return ok(detail)


def look_at_redis() -> Finding:
    """It answers and throws nothing away."""
    settings = runtime_settings()
    try:
        info: dict[str, Any] = redis_client().info()
    except RedisError as error:
        advice = "start 'flask up', whose server it is" if settings.redis_is_embedded else "correct REDIS_URL"
        return fail(f"does not answer: {error}", f"{advice}; until then due work waits in the database")
    detail = _describe(info, embedded=settings.redis_is_embedded)
    if info.get("loading"):
        return warn(f"{detail}, still loading its data", "wait until it has")
    policy = info.get("maxmemory_policy", "unknown")
    if info.get("maxmemory") and policy != "noeviction":
        advice = (
            "set maxmemory-policy to noeviction: it may throw jobs away, which are found again only later"
        )
        return warn(f"{detail}, {policy}", advice)
    return ok(f"{detail}, {policy}")


def _describe(info: dict[str, Any], *, embedded: bool) -> str:
    valkey = info.get("valkey_version")
    name = f"Valkey {valkey}" if valkey else f"Redis {info.get('redis_version', '?')}"
    # Whatever it forgets is made again from the database.
    kept = "append-only file" if info.get("aof_enabled") else "no append-only file, which is fine"
    return f"{name}, {'embedded' if embedded else 'a server of its own'}, {kept}"
