"""Schedules and runs in bulk, for taskapi and for those that write the same rows."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from flask import Flask

from benchmarks.actions import NAME
from taskapi.core.db import db, transaction
from taskapi.schedules.engine.dispatch import dispatch_due
from tests.people import PASSWORD_HASH

OWNERS = 100

USERS = """
INSERT INTO users (id, email, email_key, username, username_key, password_hash, role, is_active,
    email_verified, timezone, notification_preferences, version, created_at, updated_at)
SELECT uuidv7(), name || '@example.org', name || '@example.org', name, name, :password, 'user', true, true,
    'UTC', '{}', 1, now(), now()
FROM (SELECT 'owner' || n AS name FROM generate_series(1, :owners) AS n) AS names
"""
# Due at ``:first`` and then one each ``:step`` seconds.
SCHEDULES = """
WITH people AS (SELECT id, row_number() OVER (ORDER BY id) AS place FROM users),
made AS (
    SELECT n, to_timestamp(CAST(:first AS double precision) + n * CAST(:step AS double precision)) AS at
    FROM generate_series(0, :number - 1) AS n
)
INSERT INTO schedules (id, owner_id, name, action, params, run_at, every, timezone, dst, starts_at,
    starts_at_given, exclude, skips, jitter, catch_up, catch_up_window, catch_up_limit, overlap, timeout,
    retry, notify, alert_after, status, next_run_at, dispatch_at, run_count, failures_in_row, version,
    created_at, updated_at)
SELECT uuidv7(), people.id, 'Schedule ' || n, :action, CAST(:params AS jsonb), CASE WHEN :once THEN at END,
    CASE WHEN NOT :once THEN 86400 END, 'UTC', '{"gap": "next_valid", "repeat": "first"}', at, true, '[]',
    '[]', 0, 'latest', 86400, 100, 'skip', 300,
    '{"max_attempts": 3, "delay": 10, "factor": 2, "max_delay": 3600}', '["failed"]', 1, 'active', at, at,
    0, 0, 1, now(), now()
FROM made JOIN people ON people.place = 1 + n % :owners
"""
THEIR_RUNS = """
INSERT INTO runs (id, due_at, status, attempt)
SELECT gen_random_uuid(), to_timestamp(due), 'pending', 0
FROM unnest(CAST(:due AS double precision[])) AS due RETURNING id
"""


def add_owners(app: Flask) -> None:
    with app.app_context(), transaction() as session:
        session.execute(sa.text(USERS), {"owners": OWNERS, "password": PASSWORD_HASH})


def add_schedules(
    app: Flask,
    number: int,
    *,
    first: float,
    step: float = 0.0,
    once: bool = False,
    action: str = NAME,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Active schedules, daily ones or for one time, due from ``first`` on (seconds since 1970)."""
    when = {"number": number, "first": first, "step": step, "once": once}
    values = {**when, "owners": OWNERS, "action": action, "params": json.dumps(params or {})}
    with app.app_context(), transaction() as session:
        session.execute(sa.text("SET LOCAL statement_timeout = 0"))
        session.execute(sa.text(SCHEDULES), values)


def tidy(app: Flask) -> None:
    """What databases do by themselves after a while: refresh the planner's figures."""
    with (
        app.app_context(),
        db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.exec_driver_sql("VACUUM ANALYZE")


def dispatch_all(app: Flask) -> None:
    """Turn all that is due into runs, and queue them, as the scheduler does."""
    with app.app_context():
        while dispatch_due() == 0.0:
            pass


def count_runs(app: Flask, status: str) -> int:
    with app.app_context(), db.engine.connect() as connection:
        statement = sa.text("SELECT count(*) FROM runs WHERE status = :status")
        return int(connection.execute(statement, {"status": status}).scalar_one())


def add_their_runs(url: str, due: Sequence[float]) -> list[str]:
    """Rows of runs in the rivals' table; their ids."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        return [str(row[0]) for row in connection.execute(sa.text(THEIR_RUNS), {"due": list(due)})]
