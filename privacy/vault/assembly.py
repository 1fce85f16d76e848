"""The vault of one process, made from its secrets and settings; the state store is not read yet."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from candor.kernel.clock import Clock
from candor.kernel.errors import InvalidInputError
from candor.kernel.metrics import Metrics
from candor.kernel.secrets import Secrets, read_key_file
from candor.kernel.services import Services
from candor.kernel.settings import Settings
from candor.kernel.vault_settings import VaultSettings
from privacy.vault.cache import BoundedCache
from privacy.vault.data_keys import DataKeys
from privacy.vault.encryption_keys import EncryptionKeys
from privacy.vault.kms import open_kms
from privacy.vault.register import Register
from privacy.vault.revealing import Reveals
from privacy.vault.roots import FileRoot, Root, derived
from privacy.vault.sealing import Cipher
from privacy.vault.turns import Memory, Turns
from privacy.vault.vault import StoredVault

_TOKENS_FOR_EACH_KEY = 5
_MOST_ENCRYPTION_KEYS = 100
_INSTALLATION_BYTES = 16


@dataclass(frozen=True, slots=True)
class Desk:
    """What is done to the vault by hand: reveal, destroy, rotate."""

    keys: DataKeys
    register: Register
    reveals: Reveals


def new_vault(
    engine: Engine, secrets: Secrets, settings: VaultSettings, clock: Clock
) -> StoredVault:
    """Return the vault for the way of an event.

    Raises:
        CandorError: a key file cannot be used, or boto3 is missing; the sentence says what to do.
    """
    keys = _new_keys(engine, secrets, settings, clock)
    lookup_key = derived(secrets.vault_key, b"candor vault lookup v1")
    return StoredVault(engine, keys, lookup_key, clock)


def new_desk(
    engine: Engine, secrets: Secrets, settings: VaultSettings, clock: Clock, metrics: Metrics
) -> Desk:
    """Return the desk of a vault.

    Raises:
        CandorError: as ``new_vault``.
    """
    keys = _new_keys(engine, secrets, settings, clock)
    reveals = Reveals(keys, settings.reveals_per_minute, clock, metrics)
    return Desk(keys, _register(secrets, settings), reveals)


def open_desk(services: Services) -> Desk:
    """Return the desk on migrated stores, which it has held against the register.

    Raises:
        CandorError: as ``new_vault``; or the store or the register cannot be read.
    """
    require_register(services.settings)
    desk = new_desk(
        services.engine,
        services.secrets,
        services.settings.vault,
        services.clock,
        services.metrics,
    )
    desk.keys.turns.catch_up()
    return desk


def require_register(settings: Settings) -> None:
    """See that a server's operator said where the register of destroyed keys is.

    Raises:
        InvalidInputError: nobody said; a path in a container's own file system is lost with it.
    """
    if not settings.is_embedded and "register_file" not in settings.vault.model_fields_set:
        raise InvalidInputError(
            "Set CANDOR_VAULT__REGISTER_FILE to a file on a volume that outlives this process and"
            " is not restored with the state store: it names the keys that were destroyed.",
            path="vault.register_file",
        )


def roots_of(secrets: Secrets, settings: VaultSettings) -> Sequence[Root]:
    """Return every root that the settings know, the one for new keys last.

    Raises:
        CandorError: as ``new_vault``.
    """
    roots: list[Root] = [FileRoot(secrets.vault_key)]
    roots += [FileRoot(read_key_file(path)) for path in settings.key_files]
    if settings.kms_key is not None:
        roots.append(open_kms(settings, settings.kms_key))
    return roots


def _new_keys(engine: Engine, secrets: Secrets, settings: VaultSettings, clock: Clock) -> DataKeys:
    installation = derived(secrets.vault_key, b"candor installation id v1")[:_INSTALLATION_BYTES]
    most, lifetime = settings.cached_keys, settings.cached_for
    memory = Memory(
        BoundedCache(most, lifetime, time.monotonic),
        BoundedCache(most * _TOKENS_FOR_EACH_KEY, lifetime, time.monotonic),
    )
    opened = BoundedCache[str, Cipher](_MOST_ENCRYPTION_KEYS, lifetime, time.monotonic)
    return DataKeys(
        engine=engine,
        encryption=EncryptionKeys(roots_of(secrets, settings), installation, opened),
        turns=Turns(engine, _register(secrets, settings), memory, clock),
        memory=memory,
        installation=installation,
        clock=clock,
    )


def _register(secrets: Secrets, settings: VaultSettings) -> Register:
    return Register(settings.register_file, derived(secrets.vault_key, b"candor vault register v1"))
