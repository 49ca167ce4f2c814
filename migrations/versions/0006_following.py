"""Who is told of which event."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
DUE_INDEXES = {"ix_tasks_creator_due": "creator_id", "ix_tasks_assignee_due": "assignee_id"}


def upgrade() -> None:
    _number_events()
    op.create_table(
        "event_readers",
        sa.Column("reader_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("formerly", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("reader_id", "position", name="pk_event_readers"),
    )
    op.create_index("ix_event_readers_position", "event_readers", ["position"])
    _note_readers_of_the_past()
    _make_calendar_feeds()
    _make_webhooks()
    op.create_table(
        "forgotten_events",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_forgotten_events"),
    )


def _number_events() -> None:
    op.add_column("events", sa.Column("number", sa.BigInteger(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.schema.CreateSequence(sa.Sequence("event_numbers")))
        # What waits to be relayed comes before what is written from now on.
        op.execute("UPDATE events SET number = 0 WHERE position IS NULL")
    _index_unplaced("number", "id")


def _index_unplaced(*columns: str) -> None:
    where = sa.text("position IS NULL")
    op.drop_index("ix_events_unplaced", "events")
    op.create_index("ix_events_unplaced", "events", list(columns), postgresql_where=where, sqlite_where=where)


def _forget_numbers() -> None:
    _index_unplaced("id")
    op.drop_column("events", "number")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.schema.DropSequence(sa.Sequence("event_numbers")))


def _make_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("events", JSON, nullable=False),
        sa.Column("description", sa.String(length=200), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.String(length=40), nullable=True),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name="fk_webhooks_owner_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_index("ix_webhooks_owner", "webhooks", ["owner_id", "created_at", "id"])
    active = sa.text("is_active")
    op.create_index(
        "ix_webhooks_active", "webhooks", ["owner_id"], postgresql_where=active, sqlite_where=active
    )
    _make_webhook_deliveries()


def _make_webhook_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=80), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("first_tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", JSON, nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'succeeded', 'failed')", name="ck_webhook_deliveries_status"
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name="fk_webhook_deliveries_webhook_id_webhooks",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.UniqueConstraint("webhook_id", "message_id", name="uq_webhook_deliveries_message"),
    )
    waiting = sa.text("status = 'pending'")
    op.create_index(
        "ix_webhook_deliveries_outbox",
        "webhook_deliveries",
        ["webhook_id", "position"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
    op.create_index("ix_webhook_deliveries_log", "webhook_deliveries", ["webhook_id", "created_at", "id"])
    op.create_index("ix_webhook_deliveries_created", "webhook_deliveries", ["created_at"])


def _make_calendar_feeds() -> None:
    op.create_table(
        "calendar_feeds",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_calendar_feeds_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_calendar_feeds"),
        sa.UniqueConstraint("token_hash", name="uq_calendar_feeds_token_hash"),
    )
    op.create_index("ix_calendar_feeds_user", "calendar_feeds", ["user_id", "created_at", "id"])
    for name, person in DUE_INDEXES.items():
        where = sa.text("due_date IS NOT NULL AND deleted_at IS NULL")
        op.create_index(name, "tasks", [person, "due_date"], postgresql_where=where, sqlite_where=where)


def _drop_calendar_feeds() -> None:
    for name in DUE_INDEXES:
        op.drop_index(name, "tasks")
    op.drop_table("calendar_feeds")


def _note_readers_of_the_past() -> None:
    """Owners are told of what happened before there was anything to follow."""
    op.execute(
        "INSERT INTO event_readers (reader_id, position, formerly)"
        " SELECT owner_id, position, FALSE FROM events"
        " WHERE owner_id IS NOT NULL AND position IS NOT NULL AND subject_type IN"
        " ('task', 'comment', 'file', 'tag', 'schedule', 'run', 'notification', 'import')"
    )


def downgrade() -> None:
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
    _drop_calendar_feeds()
    op.drop_table("forgotten_events")
    op.drop_table("event_readers")
    _forget_numbers()
