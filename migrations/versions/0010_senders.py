"""Who has caused an e-mail that goes to others."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INDEX = "ix_emails_sender"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _index_beside_the_work()
    else:
        op.add_column("emails", sa.Column("sender_id", sa.Uuid(), nullable=True))
        _index()


def downgrade() -> None:
    op.drop_index(INDEX, "emails")
    op.drop_column("emails", "sender_id")


def _index_beside_the_work() -> None:
    """A big table is read for long, and others go on writing. Whoever is interrupted goes on from there."""
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE emails ADD COLUMN IF NOT EXISTS sender_id UUID")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
        _index(postgresql_concurrently=True)


def _index(**options: bool) -> None:
    where = sa.text("sender_id IS NOT NULL")
    columns = ["sender_id", "created_at"]
    op.create_index(INDEX, "emails", columns, postgresql_where=where, sqlite_where=where, **options)
