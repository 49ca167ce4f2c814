"""Schedules complete: recurrence rules, policies, deadlines, backfills, counts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TIME = sa.DateTime(timezone=True)

ONE_OF_THREE = (
    "(run_at IS NOT NULL AND cron IS NULL AND every IS NULL)"
    " OR (run_at IS NULL AND cron IS NOT NULL AND every IS NULL)"
    " OR (run_at IS NULL AND cron IS NULL AND every IS NOT NULL)"
)
ONE_OF_FOUR = (
    "(run_at IS NOT NULL AND cron IS NULL AND every IS NULL AND rrule IS NULL)"
    " OR (run_at IS NULL AND cron IS NOT NULL AND every IS NULL AND rrule IS NULL)"
    " OR (run_at IS NULL AND cron IS NULL AND every IS NOT NULL AND rrule IS NULL)"
    " OR (run_at IS NULL AND cron IS NULL AND every IS NULL AND rrule IS NOT NULL)"
)
OPEN = "(status = 'pending' OR status = 'running')"
RUN_INDEXES = {
    "ix_runs_held": (
        ["owner_id", "due_at"],
        "status || '' = 'pending' AND queued_at IS NULL AND retry_at IS NULL AND NOT waits_for_turn",
    ),
    "ix_runs_waiting": (["schedule_id"], "status = 'pending' AND waits_for_turn"),
    "ix_runs_retries": (["retry_at"], "status = 'pending' AND queued_at IS NULL"),
    "ix_runs_in_flight": (
        ["owner_id"],
        "(status = 'running' AND signal_by IS NULL) OR (status = 'pending' AND queued_at IS NOT NULL)",
    ),
    "ix_runs_backfill": (["backfill_id"], "backfill_id IS NOT NULL"),
    "ix_runs_start_by": (["start_by"], "status = 'pending' AND start_by IS NOT NULL"),
    "ix_runs_finish_by": (["finish_by"], f"finish_by IS NOT NULL AND overdue_at IS NULL AND {OPEN}"),
    "ix_runs_signal_by": (["signal_by"], "status = 'running' AND signal_by IS NOT NULL"),
    "ix_runs_cancelling": (
        ["cancel_requested_at"],
        "status = 'running' AND cancel_requested_at IS NOT NULL",
    ),
    "ix_runs_trigger": (["trigger", "created_at", "id", "owner_id"], "trigger <> 'schedule'"),
    "ix_runs_reason": (["reason", "created_at", "id", "owner_id"], "reason IS NOT NULL"),
}
HISTORY_INDEXES = {
    "ix_runs_owner_status": ["owner_id", "status", "created_at", "id"],
    "ix_runs_owner_action": ["owner_id", "action", "created_at", "id"],
    "ix_runs_created": ["created_at", "id"],
    "ix_runs_status": ["status", "created_at", "id"],
    "ix_runs_action": ["action", "created_at", "id"],
    "ix_runs_scheduled": ["scheduled_for", "id", "owner_id"],
}


def upgrade() -> None:
    _drop_schedule_indexes()
    _change_schedules(ONE_OF_FOUR, add=True)
    op.execute("UPDATE schedules SET dispatch_at = next_run_at")
    _create_schedule_indexes("dispatch_at")
    _create_side_tables()
    _extend_runs()
    _count_runs()


def _new_columns_of_schedules() -> list[sa.Column]:
    return [
        sa.Column("rrule", sa.Text(), nullable=True),
        sa.Column("exclude", JSON, nullable=False, server_default="[]"),
        sa.Column("skips", JSON, nullable=False, server_default="[]"),
        sa.Column("jitter", sa.Double(), nullable=False, server_default="0"),
        sa.Column("start_deadline", sa.Double(), nullable=True),
        sa.Column("finish_deadline", sa.Double(), nullable=True),
        sa.Column("alert_after", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("pause_after", sa.Integer(), nullable=True),
        sa.Column("failures_in_row", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("dispatch_at", TIME, nullable=True),
        sa.Column("ping_token", sa.String(length=64), nullable=True),
        sa.Column("last_ping_at", TIME, nullable=True),
        sa.Column("early_ping", JSON, nullable=True),
        sa.Column("ping_told_before", TIME, nullable=True),
    ]


def _drop_schedule_indexes() -> None:
    # A partial index does not survive the table's rebuilding on SQLite.
    op.drop_index("ix_schedules_due", table_name="schedules")
    op.drop_index("ix_schedules_unsettled", table_name="schedules")


def _create_schedule_indexes(due: str) -> None:
    _partial_index("ix_schedules_due", "schedules", [due], "status = 'active'")
    _partial_index("ix_schedules_unsettled", "schedules", ["unsettled_from"], "unsettled_from IS NOT NULL")


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, postgresql_where=condition, sqlite_where=condition)


def _change_schedules(one_trigger: str, *, add: bool) -> None:
    """SQLite changes a check only by building the whole table anew, which the batch does."""
    ping_token = op.f("uq_schedules_ping_token")
    with op.batch_alter_table("schedules") as batch:
        batch.drop_constraint(op.f("ck_schedules_one_trigger"), type_="check")
        if not add:
            batch.drop_constraint(ping_token, type_="unique")
        for column in _new_columns_of_schedules():
            batch.add_column(column) if add else batch.drop_column(column.name)
        if add:
            batch.create_unique_constraint(ping_token, ["ping_token"])
        batch.create_check_constraint(op.f("ck_schedules_one_trigger"), one_trigger)


def _create_side_tables() -> None:
    op.create_table(
        "run_counts",
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _ENDS),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedules.id"],
            name=op.f("fk_run_counts_schedule_id_schedules"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("schedule_id", name=op.f("pk_run_counts")),
    )
    op.create_table(
        "run_allowances",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("released", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_run_allowances_owner_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner_id", name=op.f("pk_run_allowances")),
    )
    op.create_table(
        "self_audits",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("checked_at", TIME, nullable=False),
        sa.Column("findings", JSON, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_self_audits")),
    )
    _create_backfills()


_ENDS = ("completed", "failed", "cancelled", "skipped")


def _create_backfills() -> None:
    op.create_table(
        "backfills",
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("from_at", TIME, nullable=False),
        sa.Column("to_at", TIME, nullable=False),
        sa.Column("mark_at", TIME, nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("created_runs", sa.Integer(), nullable=False),
        sa.Column("reopened_runs", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "status IN ('running', 'completed', 'cancelled')", name=op.f("ck_backfills_status")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedules.id"],
            name=op.f("fk_backfills_schedule_id_schedules"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_backfills_owner_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfills")),
    )
    op.create_index("ix_backfills_schedule", "backfills", ["schedule_id", "created_at", "id"])
    _partial_index("ix_backfills_running", "backfills", ["created_at"], "status = 'running'")


def _new_columns_of_runs() -> list[sa.Column]:
    return [
        # SQLite adds a column that must be filled only with a default; no row keeps it.
        sa.Column("due_at", TIME, nullable=False, server_default="1970-01-01 00:00:00"),
        sa.Column("earlier_attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("backfill_id", sa.Uuid(), nullable=True),
        sa.Column("waits_for_turn", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("start_by", TIME, nullable=True),
        sa.Column("finish_by", TIME, nullable=True),
        sa.Column("overdue_at", TIME, nullable=True),
        sa.Column("signal_by", TIME, nullable=True),
        sa.Column("cancel_requested_at", TIME, nullable=True),
        sa.Column("cancel_reason", sa.String(length=40), nullable=True),
        sa.Column("progress", JSON, nullable=True),
    ]


def _extend_runs() -> None:
    for column in _new_columns_of_runs():
        op.add_column("runs", column)
    op.execute("UPDATE runs SET due_at = scheduled_for")
    for name, (columns, where) in RUN_INDEXES.items():
        _partial_index(name, "runs", columns, where)
    for name, columns in HISTORY_INDEXES.items():
        op.create_index(name, "runs", columns)


def _count_runs() -> None:
    sums = ", ".join(f"SUM(CASE WHEN status = '{end}' THEN 1 ELSE 0 END)" for end in _ENDS)
    op.execute(
        f"INSERT INTO run_counts (schedule_id, {', '.join(_ENDS)})"  # noqa: S608 - our own words
        f" SELECT schedules.id, {sums} FROM schedules LEFT JOIN runs ON runs.schedule_id = schedules.id"
        " GROUP BY schedules.id".replace("status =", "runs.status =")
    )


def downgrade() -> None:
    for name in (*RUN_INDEXES, *HISTORY_INDEXES):
        op.drop_index(name, table_name="runs")
    for column in _new_columns_of_runs():
        op.drop_column("runs", column.name)
    for table in ("backfills", "self_audits", "run_allowances", "run_counts"):
        op.drop_table(table)
    _drop_schedule_indexes()
    op.execute("DELETE FROM schedules WHERE rrule IS NOT NULL")
    _change_schedules(ONE_OF_THREE, add=False)
    _create_schedule_indexes("next_run_at")
