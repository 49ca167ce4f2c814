"""Files, what each user uses of the store, objects to remove, and checks of all files."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
KEY = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
    _create_files()
    op.create_table(
        "file_usage",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name="fk_file_usage_owner_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner_id", name="pk_file_usage"),
    )
    op.create_table(
        "discarded_objects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("storage_key", sa.String(64), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_discarded_objects"),
        sa.UniqueConstraint("storage_key", name="uq_discarded_objects_storage_key"),
    )
    op.create_index("ix_discarded_objects_due_at", "discarded_objects", ["due_at"])
    op.create_table(
        "integrity_passes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("after_id", sa.Uuid(), nullable=True),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name="fk_integrity_passes_owner_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_integrity_passes"),
    )


def _create_files() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("content_type", sa.String(127), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("blocks", sa.LargeBinary(), nullable=False),
        sa.Column("storage_key", KEY, nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("damage", sa.String(10), nullable=True),
        sa.Column("checked_at", TIME, nullable=False),
        sa.Column("next_check_at", TIME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("damage IN ('missing', 'changed')", name=op.f("ck_files_damage")),
        sa.CheckConstraint("size >= 0", name=op.f("ck_files_size")),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name="fk_files_owner_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
        sa.UniqueConstraint("storage_key", name="uq_files_storage_key"),
    )
    op.create_index("ix_files_owner", "files", ["owner_id", "created_at", "id"])
    op.create_index("ix_files_created", "files", ["created_at", "id"])
    op.create_index("ix_files_next_check", "files", ["next_check_at", "id"])
    for name, column, condition in (
        ("ix_files_task", "task_id", "task_id IS NOT NULL"),
        ("ix_files_damaged", "id", "damage IS NOT NULL"),
    ):
        where = sa.text(condition)
        op.create_index(name, "files", [column], postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    for table in ("integrity_passes", "discarded_objects", "file_usage", "files"):
        op.drop_table(table)
