"""Answers to requests with a key are found by their time, to be forgotten."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index; there is a week of answers at most, so that it takes seconds."""
    op.create_index("ix_consent_requests_at", "consent_requests", ["at"])
