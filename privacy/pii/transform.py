"""What is put in the place of a personal value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Final

from candor.kernel.ports import PersonalValue, Vault
from candor.kernel.secrets import Mac
from privacy.pii.policy import VAULT_ACTIONS, Rule

_DIGEST_DIGITS = 32
_MARK = "errand-"
_MARKS = re.compile(rf"{_MARK}[0-9a-f]{{32}}-[0-9]+\.")


class Dropped:
    """Stands for a value that is left out."""


DROPPED: Final = Dropped()


class Errands:
    """What a batch wants of the vault, asked for all at once: until then, marks stand in its place.

    A mark is drawn anew for each batch, so that nobody can send one.
    """

    def __init__(self) -> None:
        self._mark = f"{_MARK}{token_hex(16)}-"
        self._wanted: list[tuple[Rule, PersonalValue]] = []

    def put(self, rule: Rule, value: PersonalValue) -> str:
        """Return the mark that stands for a value until the vault has been asked."""
        self._wanted.append((rule, value))
        return f"{self._mark}{len(self._wanted) - 1}."

    def run(self, vault: Vault) -> dict[str, str]:
        """Return what stands in the place of each mark.

        Raises:
            UnavailableError: the vault cannot be asked.
        """
        made: dict[int, str] = {}
        scopes = {rule.scope for rule, _ in self._wanted if rule.action == "tokenise"}
        for scope in (None, *sorted(scopes)):
            places = [n for n, (rule, _) in enumerate(self._wanted) if _scope_of(rule) == scope]
            values = [self._wanted[n][1] for n in places]
            if not values:
                continue
            kept = vault.encrypt_all(values) if scope is None else vault.tokenise_all(values, scope)
            made |= dict(zip(places, kept, strict=True))
        return {f"{self._mark}{n}.": one for n, one in made.items()}


def _scope_of(rule: Rule) -> str | None:
    return rule.scope if rule.action == "tokenise" else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: the field, whose it is, and what its batch wants of the vault."""

    field: str
    subject: str = ""
    errands: Errands | None = None


class Transformer:
    """Puts something in the place of a value, as a rule says."""

    def __init__(
        self,
        key: bytes,
        vault: Vault | None = None,
        *,
        defers: bool = False,
        tells: bool = False,
    ) -> None:
        """Keep what it works with; with ``defers`` there is a vault that somebody else will ask.

        With ``tells`` it says in the place of a value that a vault would keep it.
        """
        self._key = key
        self._mac = Mac(key)
        self._vault = vault
        self._defers = defers
        self._tells = tells

    def for_trials(self) -> "Transformer":
        """Return one that keeps nothing and says where a vault would: ``[ENTITY:tokenise]``."""
        return Transformer(self._key, tells=True)

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
        if rule.action in VAULT_ACTIONS:
            kept = self._kept(value, entity, rule, place)
            if kept is not None:
                return kept
        return same_format(value) if rule.keeps_format else f"[{entity}]"

    def _kept(self, value: str, entity: str, rule: Rule, place: Place) -> str | None:
        """Return what stands for a value that a vault keeps; none where there is no vault."""
        if self._tells:
            return f"[{entity}:{rule.action}]"
        if self._vault is None and not self._defers:
            return None
        errands = place.errands or Errands()
        mark = errands.put(rule, PersonalValue(value, place.subject, place.field))
        if place.errands is None and self._vault is not None:
            return errands.run(self._vault)[mark]
        return mark

    def digest(self, value: str) -> str:
        """Return 32 hexadecimal digits: the same for the same value, useless without the key."""
        return self._mac.hexdigest(value.encode("utf-8", "surrogatepass"))[:_DIGEST_DIGITS]


def filled(text: str, settled: Mapping[str, str]) -> str:
    """Return a text with marks replaced by what stands in their place."""
    if _MARK not in text:
        return text
    return _MARKS.sub(lambda mark: settled.get(mark[0], mark[0]), text)


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
