"""OpenSLO documents of every kind, and the revisions of objectives."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and spell the definitions that exist in the new way."""
    op.create_table(
        "openslo_documents",
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_openslo_documents"),
    )
    op.create_table(
        "objective_revisions",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("name", "revision", name="pk_objective_revisions"),
    )
    with op.batch_alter_table("objectives") as table:
        table.add_column(sa.Column("slo", sa.String(63), nullable=True))
    if not op.get_context().as_sql:  # the statements alone have no rows to read
        _spell_definitions()


def _spell_definitions() -> None:
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT name, definition FROM objectives")).fetchall()
    for name, stored in rows:
        old = json.loads(stored) if isinstance(stored, str) else stored
        part = {
            "name": "",
            "indicator": old.pop("indicator"),
            "weight": "1",
            "method": "Occurrences",
            "slice_seconds": 60.0,
            "slice_target": None,
            "max_delay_seconds": None,
            "when_delayed": None,
        }
        new = old | {
            "labels": {},
            "period": {"kind": "rolling", "seconds": old.pop("window")},
            "parts": [part],
            "combination": "weighted",
            "is_composite": False,
            "windows": [],
            "no_data": "exclude",
            "minimum_events": 0,
            "expected_events": None,
        }
        update = sa.text("UPDATE objectives SET definition = :definition WHERE name = :name")
        definition = sa.bindparam("definition", new, type_=sa.JSON())
        connection.execute(update.bindparams(definition, sa.bindparam("name", name)))
