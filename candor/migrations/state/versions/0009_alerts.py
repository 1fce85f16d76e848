"""Alerts, their deliveries, and silences."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the three tables."""
    _alerts()
    _deliveries()
    _silences()


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("slot", sa.String(140), nullable=False),
        sa.Column("objective", sa.String(80), nullable=False),
        sa.Column("service", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("tier", sa.String(80), nullable=False),
        sa.Column("state", sa.String(15), nullable=False),
        sa.Column("summary", sa.String(400), nullable=False),
        sa.Column("pending_since", _INSTANT, nullable=False),
        sa.Column("last_active_at", _INSTANT, nullable=False),
        sa.Column("evaluated_at", _INSTANT, nullable=False),
        sa.Column("fired_at", _INSTANT, nullable=True),
        sa.Column("acknowledged_at", _INSTANT, nullable=True),
        sa.Column("acknowledged_by", sa.String(120), nullable=True),
        sa.Column("resolved_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.UniqueConstraint("slot", name="uq_alerts_slot"),
    )
    op.create_index("ix_alerts_objective", "alerts", ["objective"])
    op.create_index("ix_alerts_state", "alerts", ["state"])


def _deliveries() -> None:
    op.create_table(
        "alert_deliveries",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("alert_id", sa.String(36), nullable=False),
        sa.Column("transition", sa.String(10), nullable=False),
        sa.Column("target", sa.String(120), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("next_at", _INSTANT, nullable=False),
        sa.Column("outcome", sa.String(200), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_deliveries"),
    )
    op.create_index("ix_alert_deliveries_alert_id", "alert_deliveries", ["alert_id"])
    op.create_index("ix_alert_deliveries_state_next_at", "alert_deliveries", ["state", "next_at"])


def _silences() -> None:
    op.create_table(
        "silences",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("objective", sa.String(80), nullable=True),
        sa.Column("service", sa.String(63), nullable=True),
        sa.Column("severity", sa.String(10), nullable=True),
        sa.Column("since", _INSTANT, nullable=False),
        sa.Column("until", _INSTANT, nullable=False),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_silences"),
    )
    op.create_index("ix_silences_until", "silences", ["until"])
