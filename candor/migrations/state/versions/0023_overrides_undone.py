"""An override of the gate can be taken back."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add who took it back and when; a nullable column takes no time on either store."""
    op.add_column(
        "gate_overrides", sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("gate_overrides", sa.Column("undone_by", sa.String(120), nullable=True))
