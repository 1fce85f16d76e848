"""What is put in the place of a personal value."""

from dataclasses import dataclass
from typing import Final

from candor.kernel.ports import Vault
from candor.kernel.secrets import Mac
from privacy.pii.policy import Rule

_DIGEST_DIGITS = 32


class Dropped:
    """Stands for a value that is left out."""


DROPPED: Final = Dropped()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: the field, whose it is, and whether other values must stay apart."""

    field: str
    subject: str = ""


class Transformer:
    """Puts something in the place of a value, as a rule says."""

    def __init__(self, key: bytes, vault: Vault | None = None) -> None:
        self._mac = Mac(key)
        self._vault = vault

    @property
    def has_vault(self) -> bool:
        """Whether values can be tokenised and encrypted."""
        return self._vault is not None

    def replace(self, value: str, entity: str, rule: Rule, place: Place) -> str | Dropped:
        """Return what stands in the place of a value from now on.

        A value that is to block its event is masked as well, so that no copy of it survives; so is
        one that a vault should keep where there is none.
        """
        if rule.action == "allow":
            return value
        if rule.action == "drop":
            return DROPPED
        if rule.action == "hash":
            return f"[{entity}:{self.digest(value)}]"
        if self._vault is not None and rule.action == "tokenise":
            return self._vault.tokenise([value], rule.scope, place.subject)[0]
        if self._vault is not None and rule.action == "encrypt":
            return self._vault.encrypt([value], place.subject, place.field)[0]
        return same_format(value) if rule.keeps_format else f"[{entity}]"

    def digest(self, value: str) -> str:
        """Return 32 hexadecimal digits: the same for the same value, useless without the key."""
        return self._mac.hexdigest(value.encode("utf-8", "surrogatepass"))[:_DIGEST_DIGITS]


def same_format(value: str) -> str:
    """Return a text of the same shape: digits are 0, letters x or X, and all else stays."""
    return "".join(
        "0" if sign.isdigit() else ("X" if sign.isupper() else "x") if sign.isalpha() else sign
        for sign in value
    )


def sample_of(value: str) -> str:
    """Return what may be shown of a value: its shape, and how long it is."""
    shown = same_format(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


_SHOWN = 40
