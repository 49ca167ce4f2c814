"""Who is told of which event."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_readers",
        sa.Column("reader_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("reader_id", "position", name="pk_event_readers"),
    )
    op.create_index("ix_event_readers_position", "event_readers", ["position"])
    _note_readers_of_the_past()


def _note_readers_of_the_past() -> None:
    """Owners are told of what happened before there was anything to follow."""
    op.execute(
        "INSERT INTO event_readers (reader_id, position) SELECT owner_id, position FROM events"
        " WHERE owner_id IS NOT NULL AND position IS NOT NULL AND subject_type IN"
        " ('task', 'comment', 'file', 'tag', 'schedule', 'run', 'notification', 'import')"
    )


def downgrade() -> None:
    op.drop_table("event_readers")
