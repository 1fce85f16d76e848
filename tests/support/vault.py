"""Vaults on a state store, as so many processes would have them."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.metrics import new_metrics
from candor.kernel.secrets import Secrets
from candor.kernel.vault_settings import VaultSettings
from privacy.subjects.index import StoredSubjectIndex
from privacy.vault.assembly import Desk, new_desk, new_vault
from privacy.vault.destruction import Destruction, begin_register, destroy_subjects
from privacy.vault.revealing import Revealed, Sought
from privacy.vault.vault import StoredVault
from tests.support.stores import SECRETS, FixedClock

ANNA, BERT = "a" * 64, "b" * 64
EMAIL = "attributes.contact.email"


@dataclass
class Replica:
    """What one process has of the vault."""

    engine: Engine
    clock: FixedClock
    vault: StoredVault
    desk: Desk

    def reveal(
        self, *sought: Sought, by: str = "test", reason: str = "case 4711"
    ) -> list[Revealed]:
        return self.desk.reveals.reveal(sought, by=by, reason=reason)

    def values(self, *sought: Sought) -> list[str | None]:
        return [one.value for one in self.reveal(*sought)]

    def destroy(self, *subject_keys: str) -> Destruction:
        self.desk.keys.turns.catch_up()
        with session_of(self.engine) as session:
            return destroy_subjects(
                session,
                self.desk.register,
                StoredSubjectIndex(self.engine),
                subject_keys,
                at=self.clock(),
                by="test",
                reason="request 1",
            )


def joined(replica: Replica) -> Replica:
    """Return a replica that was added with a register of its own, as its operator would."""
    begin_register(replica.engine, replica.desk.register, replica.clock(), "test")
    return replica


def replica_on(
    engine: Engine,
    folder: Path,
    clock: FixedClock | None = None,
    secrets: Secrets = SECRETS,
    **settings: object,
) -> Replica:
    """Return a process's vault; those of one folder share the register of destroyed keys."""
    effective = VaultSettings(register_file=folder / "destroyed.log", **settings)
    at = clock or FixedClock()
    vault = new_vault(engine, secrets, effective, at)
    return Replica(engine, at, vault, new_desk(engine, secrets, effective, at, new_metrics()))
