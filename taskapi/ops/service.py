"""Is the system healthy: what answers, what is down, which processes are alive."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from taskapi.background.connection import ask_redis
from taskapi.background.enqueue import count_workers
from taskapi.core.db import database_now, read_database_clock, session
from taskapi.core.heartbeats import Heartbeat, scheduler_last_seen
from taskapi.core.migrations import head_revision
from taskapi.core.runtime import runtime_settings
from taskapi.ops.audit import clock_offset, is_off
from taskapi.ops.storing import store_answers
from taskapi.schedules.health import find_faults
from taskapi.version import VERSION

SCHEDULER_SILENT_AFTER_SECONDS = 10.0
FORGET_HEARTBEAT_SECONDS = 86_400.0


def beat(*, name: str, kind: str) -> None:
    """Record that a process is alive; those silent for a day are forgotten."""
    changed = session().execute(
        sa.update(Heartbeat)
        .where(Heartbeat.name == name)
        .values(seen_at=database_now())
        .execution_options(synchronize_session=False)
    )
    if changed.rowcount == 0:  # type: ignore[attr-defined]
        session().add(Heartbeat(name=name, kind=kind, seen_at=read_database_clock()))
        session().execute(
            sa.delete(Heartbeat).where(Heartbeat.seen_at < database_now(-FORGET_HEARTBEAT_SECONDS))
        )


def health() -> dict[str, str]:
    """The process is alive; asks nobody."""
    return {"status": "ok", "name": runtime_settings().app_name, "version": VERSION}


def readiness() -> dict[str, Any]:
    """Each part as ``{"ok": bool, …}`` and whether all are; names no host and no address.

    ``degraded`` means that the store of files is away: all else goes on, so nobody need be sent elsewhere.
    """
    database = _check_database()
    checks = {"database": database, "redis": _check_redis()}
    if database["ok"]:
        checks |= {
            "migrations": _check_migrations(),
            "scheduler": _check_scheduler(),
            "schedules": _check_schedules(),
            "clock": _check_clock(),
        }
    checks["workers"] = _check_workers()
    ready = all(check["ok"] for check in checks.values())
    if database["ok"]:
        checks["storage"] = _check_storage()
    whole = all(check["ok"] for check in checks.values())
    return {"status": "ok" if whole else "degraded" if ready else "unavailable", "checks": checks}


def _check_database() -> dict[str, Any]:
    try:
        session().execute(sa.select(1))
    except SQLAlchemyError:
        session().rollback()
        return {"ok": False, "detail": "The database does not answer."}
    return {"ok": True}


def _check_redis() -> dict[str, Any]:
    if not ask_redis(lambda redis: redis.ping()):
        return {"ok": False, "detail": "Redis does not answer; due work waits in the database."}
    return {"ok": True}


def _check_migrations() -> dict[str, Any]:
    try:
        revision = session().scalar(sa.text("SELECT version_num FROM alembic_version"))
    except SQLAlchemyError:
        session().rollback()
        revision = None
    if revision == head_revision():
        return {"ok": True}
    return {"ok": False, "detail": "The database schema is not current: run 'flask db upgrade'."}


def _check_scheduler() -> dict[str, Any]:
    try:
        seen_at, now = scheduler_last_seen()
    except SQLAlchemyError:
        session().rollback()
        return {"ok": False, "detail": "Unknown.", "last_heartbeat": None}
    alive = seen_at is not None and (now - seen_at).total_seconds() <= SCHEDULER_SILENT_AFTER_SECONDS
    check: dict[str, Any] = {"ok": alive, "last_heartbeat": seen_at}
    return check if alive else {**check, "detail": "No scheduler is running: start 'flask scheduler'."}


def _check_schedules() -> dict[str, Any]:
    try:
        faults = find_faults()
    except SQLAlchemyError:
        session().rollback()
        return {"ok": False, "detail": "Unknown."}
    if faults["overdue"] or faults["unstarted"] or faults["dead_leases"]:
        return {"ok": False, "detail": "What is due is not being done in time.", **faults}
    return {"ok": True, **faults}


def _check_clock() -> dict[str, Any]:
    try:
        offset = clock_offset()
    except SQLAlchemyError:
        session().rollback()
        return {"ok": False, "detail": "Unknown.", "offset_seconds": None}
    check: dict[str, Any] = {"ok": not is_off(offset), "offset_seconds": round(offset, 3)}
    return check if check["ok"] else {**check, "detail": "This host's clock differs from the database's."}


def _check_storage() -> dict[str, Any]:
    try:
        answers = store_answers()
    except SQLAlchemyError:
        session().rollback()
        return {"ok": False, "detail": "Unknown."}
    return {"ok": True} if answers else {"ok": False, "detail": "The store of files does not answer."}


def _check_workers() -> dict[str, Any]:
    count = count_workers()
    if count is None:
        return {"ok": False, "detail": "Unknown while Redis is away.", "count": None}
    check: dict[str, Any] = {"ok": count > 0, "count": count}
    return check if count else {**check, "detail": "No worker is running: start 'flask worker'."}
