"""The vault: keys of people, tokens, and what was destroyed."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of turns, keys and tokens."""
    _create_turns()
    _create_keys()
    _create_tokens()


def _create_turns() -> None:
    op.create_table(
        "vault_turns",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vault_turns"),
    )
    op.execute("INSERT INTO vault_turns (id, turn, mark) VALUES (1, 0, '')")
    op.create_table(
        "vault_destructions",
        sa.Column("turn", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject_key", sa.String(64), nullable=False),
        sa.Column("mark", sa.String(16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_ids", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("turn", "subject_key", name="pk_vault_destructions"),
    )
    op.create_table(
        "vault_reveal_rates",
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_vault_reveal_rates"),
    )


def _create_keys() -> None:
    op.create_table(
        "vault_encryption_keys",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("root_id", sa.String(210), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vault_encryption_keys"),
        sa.UniqueConstraint("generation", name="uq_vault_encryption_keys_generation"),
    )
    op.create_table(
        "vault_keys",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("subject_key", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(63), nullable=False),
        sa.Column("period", sa.String(10), nullable=False),
        sa.Column("encryption_key_id", sa.String(16), nullable=True),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_vault_keys"),
        sa.ForeignKeyConstraint(
            ["encryption_key_id"],
            ["vault_encryption_keys.id"],
            name="fk_vault_keys_encryption_key_id_vault_encryption_keys",
        ),
    )
    op.create_index("ix_vault_keys_encryption_key_id", "vault_keys", ["encryption_key_id"])
    op.create_index("ix_vault_keys_subject_key", "vault_keys", ["subject_key"])
    op.create_index(
        "uq_vault_keys_alive",
        "vault_keys",
        ["subject_key", "scope", "period"],
        unique=True,
        sqlite_where=sa.text("wrapped IS NOT NULL"),
        postgresql_where=sa.text("wrapped IS NOT NULL"),
    )


def _create_tokens() -> None:
    op.create_table(
        "vault_tokens",
        sa.Column("token", sa.String(26), nullable=False),
        sa.Column("lookup", sa.LargeBinary(32), nullable=False),
        sa.Column("scope", sa.String(63), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_vault_tokens"),
        sa.UniqueConstraint("lookup", name="uq_vault_tokens_lookup"),
    )
    op.create_table(
        "vault_values",
        sa.Column("token", sa.String(26), nullable=False),
        sa.Column("subject_key", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("token", "subject_key", name="pk_vault_values"),
        sa.ForeignKeyConstraint(
            ["token"], ["vault_tokens.token"], name="fk_vault_values_token_vault_tokens"
        ),
        sa.ForeignKeyConstraint(
            ["key_id"], ["vault_keys.id"], name="fk_vault_values_key_id_vault_keys"
        ),
    )
    op.create_index("ix_vault_values_key_id", "vault_values", ["key_id"])
