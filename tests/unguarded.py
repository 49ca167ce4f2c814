"""Changing what the database guards, as somebody can who may do everything there."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa


@contextmanager
def unguarded(connection: sa.Connection) -> Iterator[None]:
    """Within a transaction that writes: no trigger fires in the block."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        yield
        connection.execute(sa.text("SET LOCAL session_replication_role = origin"))
        return
    triggers = connection.execute(
        sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%_no_%'")
    ).all()
    for name, _ in triggers:
        connection.execute(sa.text(f"DROP TRIGGER {name}"))
    yield
    for _, definition in triggers:
        connection.exec_driver_sql(definition)
