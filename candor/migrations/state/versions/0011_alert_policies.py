"""Alerts know the alert policy that asked for them; there may be one of each."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the policy; alerts of before have none."""
    op.add_column("alerts", sa.Column("policy", sa.String(63), nullable=False, server_default=""))
