"""How far each register of destroyed keys goes, to know one that was cut; and a mark of the store."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of registers, and mark the turn of a store without destructions."""
    op.create_table(
        "vault_registers",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vault_registers"),
    )
    mark = sa.text("UPDATE vault_turns SET mark = :mark WHERE mark = ''")
    op.execute(mark.bindparams(mark=secrets.token_urlsafe(12)))
