"""How Alembic runs the migrations: one process at a time, waiting for the database to start."""

import sqlalchemy as sa
from alembic import context
from flask import current_app

from taskapi.core.cli import fail_with_one_line
from taskapi.core.columns import Ranked, UtcDateTime
from taskapi.core.db import Base, db
from taskapi.core.engine import wait_for_database
from taskapi.core.migrations import is_modelled
from taskapi.core.runtime import runtime_settings

# Any number will do, as long as nothing else in the database uses it.
MIGRATION_LOCK = 7_270_000


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
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()
        else:
            # A table that is rebuilt is dropped: the rows that refer to it must stay.
            connection.connection.driver_connection.execute("PRAGMA foreign_keys = OFF")
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_item=render_item,
            include_name=is_modelled,
            **options,
        )
        with context.begin_transaction():
            context.run_migrations()
        if connection.in_transaction():
            connection.commit()
        # Its lock and its lack of a time limit must not come back from the pool.
        connection.invalidate()


if context.is_offline_mode():
    raise SystemExit("taskapi: migrations need a connection; offline SQL is not supported")
run_migrations()
