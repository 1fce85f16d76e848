"""Corrections, annotations, error budget policies and overrides of the gate."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the four tables."""
    _corrections()
    _annotations()
    _policies()


def _corrections() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("objective", sa.String(80), nullable=True),
        sa.Column("selector", sa.JSON(), nullable=False),
        sa.Column("since", _INSTANT, nullable=False),
        sa.Column("until", _INSTANT, nullable=False),
        sa.Column("rrule", sa.String(400), nullable=True),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("category", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("undone_at", _INSTANT, nullable=True),
        sa.Column("undone_by", sa.String(120), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_corrections"),
    )
    op.create_index("ix_corrections_objective", "corrections", ["objective"])


def _annotations() -> None:
    op.create_table(
        "annotations",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("service", sa.String(63), nullable=True),
        sa.Column("objective", sa.String(80), nullable=True),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("until", _INSTANT, nullable=True),
        sa.Column("text", sa.String(1000), nullable=False),
        sa.Column("link", sa.String(1000), nullable=True),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_annotations"),
    )
    op.create_index("ix_annotations_service", "annotations", ["service"])
    op.create_index("ix_annotations_at", "annotations", ["at"])


def _policies() -> None:
    op.create_table(
        "budget_policies",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("service", sa.String(63), nullable=True),
        sa.Column("owner", sa.String(120), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("applied_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_budget_policies"),
    )
    op.create_index("ix_budget_policies_service", "budget_policies", ["service"])
    op.create_table(
        "gate_overrides",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("service", sa.String(63), nullable=False),
        sa.Column("decision", sa.String(10), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gate_overrides"),
    )
    op.create_index("ix_gate_overrides_service", "gate_overrides", ["service"])
