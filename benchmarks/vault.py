"""What the vault adds to an event whose three fields are encrypted, or tokenised, with warm keys.

In this process, one thread. A thousand people; each event has three values of 12 to 30 characters
of one of them, and events come in batches as a door hands them over. Every batch is one call of
``encrypt_all`` with all its values: so its read of the turn from the state store is in the number.
CPU is user + system time of the process; with PostgreSQL, which runs elsewhere, the wait for its
answer is told beside. ``CANDOR_TEST_STATE_DSN`` names a server; else a packaged one is started.

The floor is AES-256-GCM alone: the same values through ``AESGCM.encrypt`` under one key with fresh
nonces, without anything of the vault. Rounds of both take turns, and the median counts.

Budget: with warm keys, three fields in batches of a hundred events add at most 12 us an event.
"""

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine

from candor.kernel.clock import utc_now
from candor.kernel.database import open_engine
from candor.kernel.migrate import migrate_state
from candor.kernel.ports import PersonalValue
from candor.kernel.secrets import Secrets
from candor.kernel.vault_settings import VaultSettings
from privacy.vault.assembly import new_vault
from privacy.vault.vault import StoredVault

SECRETS = Secrets(*[bytes(32)] * 7)
PEOPLE = 1000
FIELDS = ("attributes.contact.email", "attributes.contact.phone", "attributes.shipping.street")
BATCHES = (1, 10, 100, 500)
EVENTS = 3000
ROUNDS = 7
BUDGET_MICROSECONDS = 12


def main() -> None:
    """Print microseconds an event by size of batch on both state stores."""
    from tests.support.stores import (  # noqa: PLC0415 - starts a packaged server
        postgresql_engine,
        postgresql_server,
    )

    print(f"floor, AES-256-GCM alone, three values: {floor():.1f} us an event")
    with tempfile.TemporaryDirectory(prefix="candor-") as name:
        engine = open_engine(f"sqlite:///{name}/state.db")
        migrate_state(engine)
        report("sqlite", engine, Path(name))
        engine.dispose()
    with (
        tempfile.TemporaryDirectory(prefix="candor-") as name,
        postgresql_server(Path(name)) as dsn,
        postgresql_engine(dsn) as engine,
    ):
        report("postgresql", engine, Path(name))


def report(store: str, engine: Engine, folder: Path) -> None:
    """Print what a vault on one state store takes."""
    settings = VaultSettings(register_file=folder / "destroyed.log")
    vault = new_vault(engine, SECRETS, settings, utc_now)
    values = [event(number % PEOPLE) for number in range(EVENTS)]
    warm = [one for some in values for one in some]
    vault.encrypt_all(warm)
    vault.tokenise_all(warm, "support")
    for size in BATCHES:
        cpu, wall = measured(values, size, vault.encrypt_all)
        told = verdict(cpu) if size == 100 else ""  # noqa: PLR2004 - the size of the budget
        print(f"{store}: encrypt, batches of {size}: {cpu:.1f} us CPU, {wall:.1f} us wall{told}")
    cpu, wall = measured(values, 100, lambda batch: vault.tokenise_all(batch, "support"))
    print(f"{store}: tokenise, batches of 100: {cpu:.1f} us CPU, {wall:.1f} us wall an event")
    first_time(store, vault)


def first_time(store: str, vault: StoredVault) -> None:
    """Print what people cost of whom the vault has no key yet."""
    people = [f"{number:064x}" for number in range(10**6, 10**6 + 500)]
    started = time.perf_counter()
    vault.encrypt_all([PersonalValue("x", one, FIELDS[0]) for one in people])
    spent = (time.perf_counter() - started) / len(people) * 1e6
    print(f"{store}: a new person's key, 500 at once: {spent:.0f} us wall each")


def event(number: int) -> list[PersonalValue]:
    """Return the three values of an event of one person."""
    person = f"{number:064x}"
    texts = (
        f"customer-{number}@example.org",
        f"+61 2 5550 {number:04}",
        f"{number} Example Street",
    )
    return [PersonalValue(one, person, field) for one, field in zip(texts, FIELDS, strict=True)]


def measured(
    events: Sequence[Sequence[PersonalValue]],
    size: int,
    call: Callable[[Sequence[PersonalValue]], list[str]],
) -> tuple[float, float]:
    """Return the medians of CPU and wall time an event, in microseconds."""
    shuffled = random.sample(list(events), len(events))
    batches = [
        [one for some in shuffled[start : start + size] for one in some]
        for start in range(0, len(shuffled), size)
    ]
    cpu, wall = [], []
    for _ in range(ROUNDS):
        started, spent = time.perf_counter(), time.process_time()
        for batch in batches:
            call(batch)
        cpu.append((time.process_time() - spent) / len(events) * 1e6)
        wall.append((time.perf_counter() - started) / len(events) * 1e6)
    return statistics.median(cpu), statistics.median(wall)


def floor() -> float:
    """Return the CPU time of the cipher alone for three values, in microseconds."""
    cipher, bound = AESGCM(bytes(32)), bytes(64)
    plain = [one.value.encode() for number in range(EVENTS) for one in event(number % PEOPLE)]
    times = []
    for _ in range(ROUNDS):
        spent = time.process_time()
        for one in plain:
            cipher.encrypt(os.urandom(12), one, bound)
        times.append((time.process_time() - spent) / EVENTS * 1e6)
    return statistics.median(times)


def verdict(microseconds: float) -> str:
    """Return how a number stands to the budget."""
    kept = "kept" if microseconds <= BUDGET_MICROSECONDS else "MISSED"
    return f" (<= {BUDGET_MICROSECONDS}: {kept})"


if __name__ == "__main__":
    main()
