"""How Alembic runs the migrations: one process at a time, waiting for the database to start.

The service goes on meanwhile, so nobody may wait for a migration: on PostgreSQL it gives up a lock that
it does not get at once, lets those go on who would queue behind it, and tries again.
"""

import itertools
import random
import time

import sqlalchemy as sa
import structlog
from alembic import context
from flask import current_app

from taskapi.core import migrations as patience
from taskapi.core.cli import fail_with_one_line
from taskapi.core.columns import Ranked, UtcDateTime
from taskapi.core.db import Base, db
from taskapi.core.engine import wait_for_database
from taskapi.core.migrations import is_modelled
from taskapi.core.runtime import runtime_settings

# Any number will do, as long as nothing else in the database uses it.
MIGRATION_LOCK = 7_270_000
LOCK_NOT_AVAILABLE = "55P03"

log = structlog.get_logger(__name__)


def render_item(kind, item, _autogen_context):
    """Write the portable type into migrations, not our own class, which may change."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Ranked):
        return "sa.SmallInteger()"
    return False


def run_migrations() -> None:
    fail_with_one_line(wait_for_database)(db.engine, timeout=runtime_settings().db_connect_timeout)
    options = current_app.extensions["migrate"].configure_args
    with db.engine.connect().execution_options(taskapi_writes=True) as connection:
        if connection.dialect.name == "postgresql":
            # Two releases at once would trip over each other; long migrations are no runaways.
            connection.execute(sa.text("SET statement_timeout = 0"))
            connection.connection.driver_connection.longest_wait = None
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()
        else:
            # A table that is rebuilt is dropped: the rows that refer to it must stay.
            connection.connection.driver_connection.execute("PRAGMA foreign_keys = OFF")
        fail_with_one_line(_migrate_patiently)(connection, options)
        if connection.in_transaction():
            connection.commit()
        # Its lock and its lack of time limits must not come back from the pool.
        connection.invalidate()


def _migrate_patiently(connection, options) -> None:
    if connection.dialect.name == "postgresql":
        sa.event.listen(connection, "before_cursor_execute", _limit_waiting)
    for attempt in itertools.count(1):
        try:
            _migrate(connection, options)
        except sa.exc.OperationalError as error:
            connection.rollback()
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE or attempt == patience.ATTEMPTS:
                raise
        else:
            return
        log.warning("migration.waits_for_lock", attempt=attempt)
        # Those who queued behind it go first.
        time.sleep(random.uniform(*patience.PAUSE_SECONDS))  # noqa: S311


def _limit_waiting(_connection, cursor, statement, *_) -> None:
    # An index that is made concurrently waits for transactions to end, but nobody for it.
    limit = 0 if "CONCURRENTLY" in statement else patience.LOCK_TIMEOUT_MS
    cursor.execute(f"SET lock_timeout = {limit}")


def _migrate(connection, options) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_item=render_item,
        include_name=is_modelled,
        # Locks are held until the end of a transaction.
        transaction_per_migration=True,
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("taskapi: migrations need a connection; offline SQL is not supported")
run_migrations()
