"""Tasks, tags, comments, the words they are found by, and versions of what people see."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
SORTED_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(sa.dialects.postgresql.JSONB(), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LIVING = "deleted_at IS NULL"


def upgrade() -> None:
    _create_imports()
    _create_tasks()
    _create_import_changes()
    _create_tags()
    _create_comments()
    _create_words()
    op.create_table(
        "data_versions",
        sa.Column("key", sa.String(40), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_data_versions"),
    )
    op.add_column("emails", sa.Column("file_id", sa.Uuid(), nullable=True))
    op.add_column("events", sa.Column("topic_id", sa.Uuid(), nullable=True))
    _index("ix_events_topic", "events", "topic_id", "id", where="topic_id IS NOT NULL")


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("title_key", SORTED_TEXT, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("earlier_status", sa.SmallInteger(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("due_date", TIME, nullable=True),
        sa.Column("due_key", TIME, nullable=False),
        sa.Column("notify_overdue", sa.Boolean(), nullable=False),
        sa.Column("told_overdue", TIME, nullable=True),
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("assignee_id", sa.Uuid(), nullable=True),
        sa.Column("external_id", sa.String(200), nullable=True),
        sa.Column("city", sa.String(100), nullable=True),
        sa.Column("weather", JSON, nullable=True),
        sa.Column("weather_at", TIME, nullable=True),
        sa.Column("import_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("completed_at", TIME, nullable=True),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.CheckConstraint("status BETWEEN 1 AND 5", name=op.f("ck_tasks_status")),
        sa.CheckConstraint("priority BETWEEN 1 AND 4", name=op.f("ck_tasks_priority")),
        _reference("tasks", "creator_id", "users", ondelete="CASCADE"),
        _reference("tasks", "assignee_id", "users", ondelete="SET NULL"),
        _reference("tasks", "import_id", "task_imports", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    for name, *columns in (
        ("ix_tasks_creator", "creator_id", "created_at", "id"),
        ("ix_tasks_assignee", "assignee_id", "created_at", "id"),
        ("ix_tasks_created", "created_at", "id"),
        ("ix_tasks_updated", "updated_at", "id"),
        ("ix_tasks_due", "due_key", "id"),
        ("ix_tasks_priority", "priority", "id"),
        ("ix_tasks_status", "status", "id"),
        ("ix_tasks_title", "title_key", "id"),
    ):
        _index(name, "tasks", *columns, where=LIVING)
    _index("ix_tasks_falling_due", "tasks", "status", "due_date", where=f"{LIVING} AND status IN (1, 2)")
    done = f"completed_at IS NOT NULL AND {LIVING}"
    _index("ix_tasks_completed", "tasks", "completed_at", where=done)
    _index("ix_tasks_creator_completed", "tasks", "creator_id", "completed_at", where=done)
    _index("ix_tasks_assignee_completed", "tasks", "assignee_id", "completed_at", where=done)
    _index("ix_tasks_deleted", "tasks", "deleted_at", "id", where="deleted_at IS NOT NULL")
    known = f"external_id IS NOT NULL AND {LIVING}"
    _index("ix_tasks_external", "tasks", "creator_id", "external_id", where=known, unique=True)
    missing = "city IS NOT NULL AND weather_at IS NULL"
    _index("ix_tasks_weather_missing", "tasks", "updated_at", where=missing)
    _index("ix_tasks_import", "tasks", "import_id", where="import_id IS NOT NULL")


def _create_imports() -> None:
    op.create_table(
        "task_imports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("storage_key", sa.String(64), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("people", JSON, nullable=False),
        sa.Column("encoding", sa.String(20), nullable=True),
        sa.Column("delimiter", sa.String(1), nullable=True),
        sa.Column("ignored_columns", JSON, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("lease_until", TIME, nullable=False),
        sa.Column("total_rows", sa.Integer(), nullable=True),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("done_rows", "created", "updated", "unchanged", "failed")
        ),
        sa.Column("errors", JSON, nullable=False),
        sa.Column("more_errors", sa.Integer(), nullable=False),
        sa.Column("warnings", JSON, nullable=False),
        sa.Column("more_warnings", sa.Integer(), nullable=False),
        sa.Column("error", JSON, nullable=True),
        sa.Column("undone_by", sa.Uuid(), nullable=True),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', 'failed', 'undoing', 'undone')",
            name=op.f("ck_task_imports_status"),
        ),
        _reference("task_imports", "owner_id", "users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_task_imports"),
    )
    op.create_index("ix_task_imports_owner", "task_imports", ["owner_id", "created_at", "id"])
    op.create_index("ix_task_imports_created", "task_imports", ["created_at", "id"])
    unfinished = "status IN ('pending', 'running', 'undoing')"
    _index("ix_task_imports_open", "task_imports", "lease_until", where=unfinished)


def _create_import_changes() -> None:
    op.create_table(
        "task_import_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("before", JSON, nullable=False),
        sa.Column("after", JSON, nullable=False),
        _reference("task_import_changes", "import_id", "task_imports", ondelete="CASCADE"),
        _reference("task_import_changes", "task_id", "tasks", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_task_import_changes"),
    )
    op.create_index("ix_task_import_changes_import", "task_import_changes", ["import_id", "id"])
    op.create_index("ix_task_import_changes_task", "task_import_changes", ["task_id"])


def _create_tags() -> None:
    op.create_table(
        "tags",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("name_key", SORTED_TEXT, nullable=False),
        sa.Column("color", sa.String(7), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        _reference("tags", "creator_id", "users", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_tags"),
        sa.UniqueConstraint("name_key", name="uq_tags_name_key"),
    )
    op.create_table(
        "task_tags",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("tag_id", sa.Uuid(), nullable=False),
        _reference("task_tags", "task_id", "tasks", ondelete="CASCADE"),
        _reference("task_tags", "tag_id", "tags", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "tag_id", name="pk_task_tags"),
    )
    op.create_index("ix_task_tags_tag", "task_tags", ["tag_id", "task_id"])


def _create_comments() -> None:
    op.create_table(
        "comments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_html", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("edited_at", TIME, nullable=True),
        _reference("comments", "task_id", "tasks", ondelete="CASCADE"),
        _reference("comments", "author_id", "users", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_comments"),
    )
    op.create_index("ix_comments_task", "comments", ["task_id", "created_at", "id"])
    _index("ix_comments_author", "comments", "author_id", where="author_id IS NOT NULL")


def _create_words() -> None:
    op.create_table(
        "task_words",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        _reference("task_words", "task_id", "tasks", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_task_words"),
        sa.UniqueConstraint("task_id", name="uq_task_words_task_id"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # The words are cut and folded already: no parser and no language may change them.
        op.execute(
            "CREATE INDEX ix_task_words_vector ON task_words"
            " USING gin (array_to_tsvector(string_to_array(words, ' ')))"
        )
        return
    # All that is not ASCII counts as a letter, and blanks part the words: again nothing changes them.
    op.execute(
        "CREATE VIRTUAL TABLE task_words_index USING fts5("
        "words, content='task_words', content_rowid='id', tokenize='ascii')"
    )
    add = "INSERT INTO task_words_index(rowid, words) VALUES (new.id, new.words);"
    take = (
        "INSERT INTO task_words_index(task_words_index, rowid, words) VALUES ('delete', old.id, old.words);"
    )
    for name, moment, steps in (
        ("task_words_added", "AFTER INSERT", add),
        ("task_words_removed", "AFTER DELETE", take),
        ("task_words_changed", "AFTER UPDATE", f"{take} {add}"),
    ):
        op.execute(f"CREATE TRIGGER {name} {moment} ON task_words BEGIN {steps} END")


def _reference(table: str, column: str, target: str, *, ondelete: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}_{target}"
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete=ondelete)


def _index(name: str, table: str, *columns: str, where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, list(columns), unique=unique, postgresql_where=condition, sqlite_where=condition
    )


def downgrade() -> None:
    op.drop_index("ix_events_topic", "events")
    op.drop_column("events", "topic_id")
    op.drop_column("emails", "file_id")
    if op.get_bind().dialect.name == "sqlite":
        # Its triggers go with the table of words.
        op.execute("DROP TABLE task_words_index")
    for table in ("data_versions", "task_words", "comments", "task_tags", "tags"):
        op.drop_table(table)
    for table in ("task_import_changes", "tasks", "task_imports"):
        op.drop_table(table)
