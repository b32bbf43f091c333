"""When a batch ended, messages about batches, and a rate that all processes share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ID = sa.String(64)


def upgrade() -> None:
    """Add tables and columns; of a batch that has ended, the last of its verdicts says when."""
    op.add_column("batches", sa.Column("finished_at", sa.Double))
    op.execute(
        "UPDATE batches SET finished_at = (SELECT max(finished_at) FROM jobs WHERE jobs.batch = batches.id) WHERE NOT "
        "EXISTS (SELECT 1 FROM jobs WHERE jobs.batch = batches.id AND jobs.status IN ('queued', 'running'))"
    )
    with op.batch_alter_table("deliveries") as table:  # SQLite can only make the table anew
        table.alter_column("job", existing_type=ID, nullable=True)
        table.add_column(sa.Column("batch", ID))
        table.create_foreign_key("deliveries_batch", "batches", ["batch"], ["id"], ondelete="CASCADE")
    op.create_table(
        "rates",
        sa.Column("key", ID, primary_key=True),
        sa.Column("times", sa.LargeBinary, nullable=False),
    )
