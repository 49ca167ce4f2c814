"""What webhooks and schedules of administrators see: as administrators, or as anybody."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("webhooks", "schedules")
# They go on as they were: until now all that an administrator had made saw everything.
OF_ADMINISTRATORS = (
    "UPDATE webhooks SET as_admin = TRUE WHERE owner_id IN (SELECT id FROM users WHERE role = 'admin')",
    "UPDATE schedules SET as_admin = TRUE WHERE owner_id IN (SELECT id FROM users WHERE role = 'admin')",
)


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("as_admin", sa.Boolean(), server_default=sa.false(), nullable=False))
    for statement in OF_ADMINISTRATORS:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "as_admin")
