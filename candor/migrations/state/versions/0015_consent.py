"""Consent: purposes, notices, the ledger, and what follows from it."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of the policy, the ledger and the standings."""
    op.create_table(
        "consent_turns",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("policy_turn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consent_turns"),
    )
    op.execute("INSERT INTO consent_turns (id, turn, policy_turn) VALUES (1, 0, 0)")
    _create_policy()
    _create_ledger()
    op.create_table(
        "consent_standings",
        sa.Column("subject_key", sa.String(64), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject_key", name="pk_consent_standings"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "consent_requests",
        sa.Column("key_digest", sa.String(64), nullable=False),
        sa.Column("body_digest", sa.String(64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_digest", name="pk_consent_requests"),
    )


def _create_policy() -> None:
    op.create_table(
        "consent_purposes",
        sa.Column("turn", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(63), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("turn", "key", name="pk_consent_purposes"),
    )
    op.create_table(
        "consent_notices",
        sa.Column("key", sa.String(63), nullable=False),
        sa.Column("version", sa.String(31), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(120), nullable=False),
        sa.Column("served", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key", "version", name="pk_consent_notices"),
    )


def _create_ledger() -> None:
    op.create_table(
        "consent_events",
        sa.Column("turn", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("subject_key", sa.String(64), nullable=False),
        sa.Column("subject_type", sa.String(40), nullable=False),
        sa.Column("purpose", sa.String(63), nullable=False),
        sa.Column("channel", sa.String(120), nullable=False),
        sa.Column("action", sa.String(10), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.String(120), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("notice", sa.String(100), nullable=True),
        sa.Column("notice_digest", sa.String(64), nullable=True),
        sa.Column("method", sa.String(120), nullable=True),
        sa.Column("actor", sa.String(120), nullable=True),
        sa.Column("evidence", sa.String(500), nullable=True),
        sa.Column("locale", sa.String(40), nullable=True),
        sa.Column("jurisdiction", sa.String(20), nullable=True),
        sa.Column("ip_prefix", sa.String(50), nullable=True),
        sa.Column("user_agent_hash", sa.String(150), nullable=True),
        sa.Column("origin", sa.String(300), nullable=True),
        sa.Column("repeat_key", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("turn", "number", name="pk_consent_events"),
        sa.UniqueConstraint("id", name="uq_consent_events_id"),
        sa.UniqueConstraint("repeat_key", name="uq_consent_events_repeat_key"),
    )
    op.create_index("ix_consent_events_subject_key", "consent_events", ["subject_key"])
