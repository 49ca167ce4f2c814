"""Indexes by which a page of somebody's tasks, also of one status, is found and counted without reading more."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

GIVEN = "creator_id <> assignee_id AND deleted_at IS NULL"
INDEXES = {
    "ix_tasks_creator_status": (
        ["creator_id", "status", "created_at", "id"],
        "deleted_at IS NULL",
    ),
    "ix_tasks_given": (["assignee_id", "created_at", "id"], GIVEN),
    "ix_tasks_given_status": (["assignee_id", "status", "created_at", "id"], GIVEN),
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _index_beside_the_work()
    else:
        for name in INDEXES:
            _index(name)


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "tasks")


def _index_beside_the_work() -> None:
    """A big table is read for long, and others go on writing. Whoever is interrupted goes on from there."""
    with op.get_context().autocommit_block():
        for name in INDEXES:
            if _is_whole(name):
                continue
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            _index(name, postgresql_concurrently=True)


def _index(name: str, **options: bool) -> None:
    columns, condition = INDEXES[name]
    where = sa.text(condition)
    op.create_index(name, "tasks", columns, postgresql_where=where, sqlite_where=where, **options)


def _is_whole(index: str) -> bool:
    found = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    return bool(op.get_bind().scalar(found, {"name": index}))
