"""Who is told of changes of consent, who waits, and what was given up."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of subscribers, of who waits, and of dead letters."""
    op.create_table(
        "consent_subscribers",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(200), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_consent_subscribers"),
    )
    op.create_table(
        "consent_waiting",
        sa.Column("subscriber", sa.String(63), nullable=False),
        sa.Column("subject_key", sa.String(64), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("subscriber", "subject_key", name="pk_consent_waiting"),
    )
    op.create_index(
        "ix_consent_waiting_subscriber_next_at", "consent_waiting", ["subscriber", "next_at"]
    )
    op.create_table(
        "consent_dead_letters",
        sa.Column("subscriber", sa.String(63), nullable=False),
        sa.Column("turn", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event", sa.String(36), nullable=False),
        sa.Column("subject_key", sa.String(64), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(200), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subscriber", "turn", "number", name="pk_consent_dead_letters"),
    )
