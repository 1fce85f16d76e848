"""Public keys: where they may be used from, how often, and whether they ask for consent."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give API keys the terms of a public one; keys that exist are not public."""
    op.add_column(
        "api_keys", sa.Column("origins", sa.String(2000), nullable=False, server_default="")
    )
    op.add_column("api_keys", sa.Column("per_minute", sa.Integer(), nullable=True))
    op.add_column(
        "api_keys",
        sa.Column("requires_consent", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
