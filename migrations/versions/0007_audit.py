"""The audit's chain over events, which nobody may change or delete any more; schedules that are held.

A later migration that rebuilds `events` on SQLite (batch mode) drops its triggers: it has to make
them again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
INDEXES = {
    "ix_events_type": "type",
    "ix_events_actor": "actor_id",
    "ix_events_address": "address",
    "ix_events_request": "request_id",
}
# By which administrators list what there may be very many of.
LISTS = {
    "ix_schedules_created": ("schedules", "deleted_at IS NULL"),
    "ix_users_created": ("users", "closed_at IS NULL"),
}
# Written once, when the event is.
FIXED = (
    *("id", "type", "actor_id", "owner_id", "subject_type", "subject_id", "topic_id"),
    *("request_id", "created_at"),
)
# Filled in later, once.
FILLED = ("position", "number", "content_digest", "hash")
ERASABLE = ("before", "after", "address", "context")


def upgrade() -> None:
    if _on_postgresql():
        _index_beside_the_work()
    else:
        op.add_column("events", sa.Column("address", sa.String(length=45), nullable=True))
        for name in (*INDEXES, *LISTS):
            _index(name)
    op.add_column("events", sa.Column("context", JSON, nullable=True))
    for name in ("salt", "content_digest", "hash"):
        op.add_column("events", sa.Column(name, sa.LargeBinary(), nullable=True))
    op.create_table(
        "audit_heads",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_heads"),
    )
    _hold_schedules()
    _guard()


def downgrade() -> None:
    _unguard()
    op.drop_column("schedules", "paused_with_owner")
    op.drop_table("audit_heads")
    for name in INDEXES:
        op.drop_index(name, "events")
    for name, (table, _condition) in LISTS.items():
        op.drop_index(name, table)
    for name in ("hash", "content_digest", "salt", "context", "address"):
        op.drop_column("events", name)


def _hold_schedules() -> None:
    """Programs of the version before, which go on meanwhile, insert schedules without the column."""
    held = sa.Column("paused_with_owner", sa.Boolean(), server_default=sa.false(), nullable=False)
    op.add_column("schedules", held)


def _on_postgresql() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


def _index(name: str, **options: bool) -> None:
    if name in LISTS:
        (table, condition), columns = LISTS[name], ["created_at", "id"]
        where = sa.text(condition)
    else:
        table, columns = "events", [INDEXES[name], "id"]
        where = None if columns[0] == "type" else sa.text(f"{columns[0]} IS NOT NULL")
    op.create_index(name, table, columns, postgresql_where=where, sqlite_where=where, **options)


def _index_beside_the_work() -> None:
    """A big table is read for long, and others go on writing. Whoever is interrupted goes on from there."""
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE events ADD COLUMN IF NOT EXISTS address VARCHAR(45)")
        for name in (*INDEXES, *LISTS):
            if _is_whole(name):
                continue
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            _index(name, postgresql_concurrently=True)


def _is_whole(index: str) -> bool:
    found = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    return bool(op.get_bind().scalar(found, {"name": index}))


def _guard() -> None:
    changes = _forbidden_changes("IS DISTINCT FROM" if _on_postgresql() else "IS NOT")
    moves = "NEW.first <> OLD.first OR NEW.position <= OLD.position"
    if _on_postgresql():
        op.execute(
            "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = '42501'; END $$"
        )
        for table, condition in (("events", changes), ("audit_heads", moves)):
            op.execute(
                f"CREATE TRIGGER {table}_no_delete BEFORE DELETE OR TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
            )
            op.execute(
                f"CREATE TRIGGER {table}_no_change BEFORE UPDATE ON {table} FOR EACH ROW"
                f" WHEN ({condition}) EXECUTE FUNCTION refuse_audit_change()"
            )
        return
    for table, condition in (("events", changes), ("audit_heads", moves)):
        _refuse(f"{table}_no_delete", f"DELETE ON {table}")
        _refuse(f"{table}_no_change", f"UPDATE ON {table}", condition)
    # Deleting by REPLACE INTO fires no trigger of its own.
    _refuse(
        "events_no_replace",
        "INSERT ON events",
        "EXISTS (SELECT 1 FROM events WHERE id = NEW.id)"
        " OR EXISTS (SELECT 1 FROM events WHERE position = NEW.position)",
    )


def _refuse(name: str, what: str, condition: str = "TRUE") -> None:
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {what} WHEN {condition}"
        " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    )


def _forbidden_changes(differs: str) -> str:
    fixed = [f"NEW.{name} {differs} OLD.{name}" for name in FIXED]
    filled = [f"(OLD.{name} IS NOT NULL AND NEW.{name} {differs} OLD.{name})" for name in FILLED]
    erased = [f"(NEW.{name} IS NOT NULL AND NEW.{name} {differs} OLD.{name})" for name in ERASABLE]
    # Given with the digest, later erased.
    salt = f"(OLD.content_digest IS NOT NULL AND NEW.salt IS NOT NULL AND NEW.salt {differs} OLD.salt)"
    return " OR ".join([*fixed, *filled, *erased, salt])


def _unguard() -> None:
    names = ["events_no_delete", "events_no_change", "audit_heads_no_delete", "audit_heads_no_change"]
    if not _on_postgresql():
        names.append("events_no_replace")
    for name in names:
        table = f" ON {name.partition('_no_')[0]}" if _on_postgresql() else ""
        op.execute(f"DROP TRIGGER {name}{table}")
    if _on_postgresql():
        op.execute("DROP FUNCTION refuse_audit_change()")
