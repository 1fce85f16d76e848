"""Alembic's entry: runs the revisions on the connection that the migration runner passes in."""

from alembic import context
from sqlalchemy import Connection, text

_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s'"


def _run() -> None:
    connection: Connection = context.config.attributes["connection"]
    if context.is_offline_mode():
        context.configure(
            dialect_name=connection.dialect.name, literal_binds=True, transactional_ddl=False
        )
    else:
        if connection.dialect.name == "postgresql":
            connection.execute(text(_LOCK_TIMEOUT))
        context.configure(
            connection=connection, render_as_batch=connection.dialect.name == "sqlite"
        )
    with context.begin_transaction():
        context.run_migrations()


_run()
