"""The audit log: entries, the hashes over them, and signed heads."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_HASH = sa.LargeBinary(32)


def upgrade() -> None:
    """Make the tables, and the row that whoever appends locks."""
    size = op.create_table(
        "audit_size",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("leaves", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_size"),
    )
    op.bulk_insert(size, [{"id": 1, "leaves": 0}])
    op.create_table(
        "audit_leaves",
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("index", name="pk_audit_leaves"),
    )
    op.create_table(
        "audit_nodes",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", _HASH, nullable=False),
        sa.PrimaryKeyConstraint("level", "place", name="pk_audit_nodes"),
    )
    op.create_table(
        "audit_heads",
        sa.Column("tree_size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root_hash", _HASH, nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signature", sa.LargeBinary(64), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("tree_size", name="pk_audit_heads"),
    )
