"""Objectives."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of objectives."""
    op.create_table(
        "objectives",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("service", sa.String(63), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_objectives"),
    )
    op.create_index("ix_objectives_service", "objectives", ["service"])
