"""What the engines are opened with; no store is asked."""

from typing import Any

import pytest
from sqlalchemy import QueuePool
from sqlalchemy.event import listens_for

from candor.kernel.database import open_engine


class _SeenError(Exception):
    """Ends an attempt to connect."""


def test_postgresql_has_three_seconds_to_take_a_connection_and_so_has_the_pool() -> None:
    engine = open_engine("postgresql+psycopg://candor@127.0.0.1/candor")
    seen: dict[str, Any] = {}

    @listens_for(engine, "do_connect")
    def note(dialect: Any, record: Any, arguments: Any, named: dict[str, Any]) -> None:  # noqa: ANN401 - the driver's own types
        del dialect, record, arguments
        seen.update(named)
        raise _SeenError

    with pytest.raises(_SeenError):
        engine.connect()
    assert seen["connect_timeout"] == 3
    assert isinstance(engine.pool, QueuePool)
    assert engine.pool.timeout() == 3
