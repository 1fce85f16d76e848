"""Two processes on one PostgreSQL: a withdrawal in one denies the next check in the other."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from candor.kernel.clock import utc_now
from candor.kernel.database import session_of
from privacy.consent.notice import Notice
from privacy.consent.purpose import Purpose
from privacy.consent.register import put_all
from tests.support.stores import postgresql_engine

ROOT = Path(__file__).parents[2]
PAIRS = int(os.environ.get("CANDOR_TEST_PAIRS", "1000"))
PROGRAM = """
import asyncio, sys
from datetime import timedelta
from candor.kernel.clock import utc_now
from candor.kernel.database import open_engine, session_of
from privacy.consent.act import Act
from privacy.consent.decision import Question, decide
from privacy.consent.ledger import Ledger
from privacy.consent.reading import open_reader
from privacy.consent.register import PolicyRegister

engine = open_engine(sys.argv[1])
policies, reader = PolicyRegister(engine), open_reader(engine)
ledger, asked = Ledger(policies), Question("marketing", "email")

async def allowed(key):
    snapshot = await reader.read_soon([key])
    policy = policies.policy(snapshot.policy_turn)
    return decide(policy, list(snapshot.of(key).values()), asked, utc_now()).reason

def record(action, key):
    now = utc_now()
    with session_of(engine) as session:
        notice = "newsletter/1" if action == "grant" else None
        act = Act(key, "email", "marketing", action, now, "api", "email", notice)
        ledger.record(session, act, now, "test")
    return "recorded"

async def main():
    for line in sys.stdin:
        verb, key = line.split()
        print(await allowed(key) if verb == "check" else record(verb, key), flush=True)

asyncio.run(main())
"""


class Worker:
    """A process that records and checks what it is told to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def do(self, verb: str, key: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{verb} {key}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def worker(engine: Engine) -> Iterator[Worker]:
    dsn = engine.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, dsn],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


def test_no_check_in_one_process_allows_what_another_has_withdrawn(postgresql_dsn: str) -> None:
    with postgresql_engine(postgresql_dsn) as engine:
        now = utc_now()
        purpose = Purpose("marketing", "Marketing", "opt_in", {"default": "consent"}, ("email",))
        notice = Notice("newsletter", "1", ("marketing",), {"en": "May we?"})
        with session_of(engine) as session:
            put_all(session, [purpose, notice], now - timedelta(days=1), "test")
        told = []
        with worker(engine) as one, worker(engine) as other:
            for number in range(PAIRS):
                writer, asker = (one, other) if number % 2 else (other, one)
                key = f"person-{number % 50}"
                assert writer.do("grant", key) == "recorded"
                told.append(asker.do("check", key))
                assert writer.do("withdraw", key) == "recorded"
                told.append(asker.do("check", key))
            widened = Purpose("marketing", "Marketing", "opt_in", {"default": "contract"})
            with session_of(engine) as session:
                put_all(session, [widened], utc_now(), "test")
            assert {one.do("check", key), other.do("check", key)} == {"legal_basis"}
    assert told[0::2] == ["granted"] * PAIRS
    assert told[1::2] == ["withdrawn"] * PAIRS
