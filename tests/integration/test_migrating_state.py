"""Bringing a state store up to date: by two processes at once, and interrupted at any statement."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from candor.kernel.database import open_engine
from candor.kernel.migrate import migrate_state, pending_state_migrations
from tests.support.server import ROOT
from tests.support.stores import empty_postgresql

TOGETHER = 3
MIGRATE = """
import sys
from candor.kernel.database import open_engine
from candor.kernel.migrate import migrate_state
engine = open_engine(sys.argv[1])
print("ready", flush=True)
input()
print(len(migrate_state(engine)))
"""


class PowerCutError(Exception):
    """The process is gone: nothing that it began is ended."""


@pytest.fixture(params=["sqlite", "postgresql"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of a state store without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state.db"
    else:
        with empty_postgresql(request.getfixturevalue("postgresql_dsn")) as address:
            yield address


def test_of_several_at_once_one_migrates_and_the_others_wait_for_it(dsn: str) -> None:
    command = [sys.executable, "-c", MIGRATE, dsn]
    pipe = subprocess.PIPE
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True)
            )
            for _ in range(TOGETHER)
        ]
        for one in processes:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in processes:
            assert one.stdin is not None
            print(file=one.stdin, flush=True)
        told = [one.communicate()[0] for one in processes]
    assert [one.returncode for one in processes] == [0] * TOGETHER
    steps = sorted(int(one) for one in told)
    assert steps[:-1] == [0] * (TOGETHER - 1)
    assert steps[-1] > 0


@pytest.mark.parametrize("statement", [3, 20, 60])
def test_what_a_crash_interrupts_is_done_by_the_next_start(dsn: str, statement: int) -> None:
    engine = open_engine(dsn)
    left = statement

    def cut(*_: Any) -> None:  # noqa: ANN401 - what SQLAlchemy tells
        nonlocal left
        left -= 1
        if not left:
            raise PowerCutError

    event.listen(engine, "before_cursor_execute", cut)
    with pytest.raises(PowerCutError):
        migrate_state(engine)
    event.remove(engine, "before_cursor_execute", cut)
    assert migrate_state(engine)
    assert pending_state_migrations(engine) == []
    engine.dispose()
