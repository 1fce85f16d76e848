"""The settings of the vault: what protects its keys, how long it remembers them, who may look."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from candor.kernel.setting_group import Group


class VaultSettings(Group):
    """Which key protects the vault's, and how it is used.

    Without more, that is a key derived from the master key. The last of ``key_files`` (32 bytes
    each, for the owner alone) takes its place, and ``kms_key``, the ARN of a key of AWS KMS, that
    of both; `candor vault rotate` then moves all keys there. ``register_file`` names the destroyed
    keys, must not be restored together with the state store, and must be set against servers. The
    keys of a day, for values of which nobody knows whose they are, are destroyed after
    ``day_keys_kept_for``. Opened keys are remembered up to ``cached_keys`` and for ``cached_for``.
    """

    key_files: tuple[Path, ...] = ()
    kms_key: str | None = Field(default=None, min_length=1, max_length=200)
    kms_region: str | None = None
    kms_endpoint: str | None = Field(default=None, pattern="^https?://")
    register_file: Path = Path(".candor/vault-destroyed.log")
    day_keys_kept_for: timedelta = Field(default=timedelta(days=90), ge=timedelta(days=1))
    cached_keys: int = Field(default=10_000, ge=1)
    cached_for: timedelta = Field(default=timedelta(minutes=10), gt=timedelta(0))
    reveals_per_minute: int = Field(default=1000, ge=1)
