"""The subject index."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of identifiers, their links, and the record of who said so."""
    op.create_table(
        "subjects",
        sa.Column("subject_key", sa.String(64), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("apart", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("subject_key", name="pk_subjects"),
    )
    op.create_index("ix_subjects_person", "subjects", ["person"])
    op.create_table(
        "subject_pairs",
        sa.Column("low_key", sa.String(64), nullable=False),
        sa.Column("high_key", sa.String(64), nullable=False),
        sa.Column("in_force", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("low_key", "high_key", name="pk_subject_pairs"),
    )
    op.create_index("ix_subject_pairs_high_key", "subject_pairs", ["high_key"])
    op.create_table(
        "subject_groups",
        sa.Column("subject_key", sa.String(64), nullable=False),
        sa.Column("group_key", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("subject_key", "group_key", name="pk_subject_groups"),
    )
    _create_record()
    op.create_table(
        "subject_turns",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subject_turns"),
    )
    op.execute("INSERT INTO subject_turns (id, turn) VALUES (1, 0)")


def _create_record() -> None:
    op.create_table(
        "subject_links",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(8), nullable=False),
        sa.Column("subject_type", sa.String(40), nullable=False),
        sa.Column("subject_key", sa.String(64), nullable=False),
        sa.Column("other_type", sa.String(40), nullable=True),
        sa.Column("other_key", sa.String(64), nullable=True),
        sa.Column("source", sa.String(120), nullable=False),
        sa.Column("door", sa.String(40), nullable=False),
        sa.Column("call", sa.String(40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subject_links"),
    )
    op.create_index("ix_subject_links_subject_key", "subject_links", ["subject_key"])
    op.create_index("ix_subject_links_other_key", "subject_links", ["other_key"])
