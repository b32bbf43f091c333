"""Keys, jobs and what belongs to a job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.String(64)


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "head",
        sa.Column("id", ID, primary_key=True),
        sa.Column("key_source", sa.String(16), nullable=False),
        sa.Column("key_id", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "signing_keys",
        sa.Column("id", ID, primary_key=True),
        sa.Column("public", sa.LargeBinary, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", ID, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("scopes", sa.String(200), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
    )
    _jobs()
    for table, key in (
        ("spool", sa.Column("part", sa.String(16), primary_key=True)),
        ("events", sa.Column("number", sa.Integer, primary_key=True)),
        ("pictures", sa.Column("name", ID, primary_key=True)),
    ):
        more = [sa.Column("expires_at", sa.Double, nullable=False)] if table == "pictures" else []
        job = sa.Column("job", ID, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
        op.create_table(table, job, key, sa.Column("sealed", sa.LargeBinary, nullable=False), *more)


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", ID, primary_key=True),
        sa.Column("owner", ID, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease", ID),
        sa.Column("lease_until", sa.Double),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("idempotency", sa.LargeBinary),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.UniqueConstraint("owner", "idempotency"),
    )
    op.create_index("jobs_by_status", "jobs", ["status", "created_at"])
