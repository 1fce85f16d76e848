"""What Candor wrote into other systems, to be known again there."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of repairs."""
    op.create_table(
        "consent_repairs",
        sa.Column("connector", sa.String(63), nullable=False),
        sa.Column("subject_key", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("connector", "subject_key", name="pk_consent_repairs"),
    )
