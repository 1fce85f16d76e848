"""Two processes on one state store: what one destroys, the other cannot use or read any more."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from candor.kernel.database import open_engine
from tests.support.stores import postgresql_engine

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("CANDOR_TEST_DESTRUCTIONS", "40"))
PROGRAM = """
import sys
from pathlib import Path
from candor.kernel.clock import utc_now
from candor.kernel.database import open_engine
from candor.kernel.logging import configure_logging
from tests.support.vault import EMAIL, replica_on
from privacy.vault.revealing import Sought

configure_logging("error")
replica = replica_on(open_engine(sys.argv[1]), Path(sys.argv[2]), utc_now, reveals_per_minute=10**6)
replica.desk.keys.turns.catch_up()  # as at the start of a server

def encrypt(person):
    return replica.vault.encrypt(["secret of " + person], person, EMAIL)[0]

def tokenise(person):
    return replica.vault.tokenise(["secret of " + person], "support", person)[0]

def reveal(text):
    (found,) = replica.reveal(Sought(text, EMAIL))
    return found.fault or found.value

def destroy(person):
    return f"destroyed {len(replica.destroy(person).key_ids)}"

VERBS = {one.__name__: one for one in (encrypt, tokenise, reveal, destroy)}
print("ready", flush=True)
for line in sys.stdin:
    verb, subject = line.split()
    print(VERBS[verb](subject), flush=True)
"""


class Worker:
    """A process that seals, reveals and destroys what it is told to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert self._line() == "ready"

    def do(self, verb: str, subject: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{verb} {subject}\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def worker(dsn: str, folder: Path) -> Iterator[Worker]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, dsn, str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


def dsn_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def test_no_process_uses_or_reads_what_another_has_destroyed(state: Engine, tmp_path: Path) -> None:
    dsn = dsn_of(state)
    with worker(dsn, tmp_path / "one") as one, worker(dsn, tmp_path / "other") as other:
        for number in range(ROUNDS):
            person = f"{number % 7:064x}"
            secret = f"secret of {person}"
            sealed = one.do("encrypt", person)
            token = one.do("tokenise", person)
            assert other.do("encrypt", person).split(".")[1] == sealed.split(".")[1]
            assert other.do("tokenise", person) == token
            assert other.do("reveal", token) == other.do("reveal", sealed) == secret
            assert other.do("destroy", person) == "destroyed 1"
            assert one.do("reveal", sealed) == "destroyed"
            assert one.do("reveal", token) == "unknown"
            fresh = one.do("encrypt", person)
            assert fresh.split(".")[1] != sealed.split(".")[1]
            assert one.do("tokenise", person) != token
            assert other.do("reveal", fresh) == secret


def test_a_restored_file_revives_nobody_in_another_process(sqlite: Engine, tmp_path: Path) -> None:
    dsn = dsn_of(sqlite)
    sqlite.dispose()
    person = "a" * 64
    with worker(dsn, tmp_path) as one:
        sealed, token = one.do("encrypt", person), one.do("tokenise", person)
    shutil.copy(tmp_path / "state.db", tmp_path / "backup.db")
    shutil.copy(tmp_path / "state.db-wal", tmp_path / "backup.db-wal")
    with worker(dsn, tmp_path) as other:
        assert other.do("destroy", person) == "destroyed 1"
    for old in tmp_path.glob("state.db*"):
        old.unlink()
    for copy in sorted(tmp_path.glob("backup.db*")):
        copy.rename(tmp_path / copy.name.replace("backup", "state"))
    with worker(dsn, tmp_path) as later:
        assert later.do("reveal", sealed) == "destroyed"
        assert later.do("reveal", token) == "unknown"
        assert later.do("encrypt", person).split(".")[1] != sealed.split(".")[1]


def test_a_restored_database_revives_nobody_in_another_process(
    postgresql_dsn: str, tmp_path: Path
) -> None:
    person = "a" * 64
    with postgresql_engine(postgresql_dsn) as engine:
        with worker(dsn_of(engine), tmp_path) as one:
            sealed, token = one.do("encrypt", person), one.do("tokenise", person)
        engine.dispose()
        backup = f"{engine.url.database}_backup"
        admin(postgresql_dsn, f"CREATE DATABASE {backup} TEMPLATE {engine.url.database}")
        with worker(dsn_of(engine), tmp_path) as other:
            assert other.do("destroy", person) == "destroyed 1"
        restored = engine.url.set(database=backup).render_as_string(hide_password=False)
        try:
            with worker(restored, tmp_path) as later:
                assert later.do("reveal", sealed) == "destroyed"
                assert later.do("reveal", token) == "unknown"
                assert later.do("encrypt", person).split(".")[1] != sealed.split(".")[1]
        finally:
            admin(postgresql_dsn, f"DROP DATABASE {backup} WITH (FORCE)")


def admin(dsn: str, statement: str) -> None:
    engine = open_engine(dsn).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
