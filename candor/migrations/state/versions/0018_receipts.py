"""Receipts: each act of consent knows its place in the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the place; what was recorded before has none, and its receipt names none."""
    op.add_column("consent_events", sa.Column("audit_index", sa.BigInteger(), nullable=True))
