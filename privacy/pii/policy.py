"""A policy: what is looked for, and what becomes of what is found.

The first rule that fits a finding decides; what no rule fits gets the policy's own action. A mark
of a contract stands before all rules, for it speaks of the very field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from candor.kernel.field_ports import ACTIONS, Action

VAULT_ACTIONS = frozenset({"tokenise", "encrypt"})
Names = Literal["off", "keys", "strict"]
"""How persons and places are looked for: not, by the names of fields, or in free text as well."""

PERSON, LOCATION, BIRTH = "PERSON", "LOCATION", "DATE_OF_BIRTH"
DEFAULT_ENTITIES = (
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "CREDIT_CARD",
    "US_SSN",
    "IBAN_CODE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "CRYPTO",
    "UK_NHS",
    "US_ITIN",
    "MEDICAL_LICENSE",
)
"""What is worth looking for in any telemetry: flooding kinds are for single fields."""
WITH_EVIDENCE = frozenset({"UK_NHS", "MEDICAL_LICENSE"})
"""Whose checksum one in ten numbers passes: without a word beside them they are chance."""
CATEGORIES: Mapping[str, frozenset[str]] = {
    "contact": frozenset({"EMAIL_ADDRESS", "PHONE_NUMBER", LOCATION}),
    "identity": frozenset({PERSON, BIRTH}),
    "financial": frozenset(
        {"CREDIT_CARD", "IBAN_CODE", "CRYPTO", "US_BANK_NUMBER", "ABA_ROUTING_NUMBER"}
    ),
    "network": frozenset({"IP_ADDRESS", "MAC_ADDRESS", "URL"}),
    "health": frozenset({"UK_NHS", "MEDICAL_LICENSE", "AU_MEDICARE", "US_NPI", "US_MBI"}),
    "time": frozenset({"DATE_TIME"}),
}
"""What kinds of personal data entities are; all others are official numbers (``official``)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what is empty fits everything.

    ``paths`` are fields with dots, a list as ``[]``, and ``*`` for anything; ``threshold`` is the
    score from which on it fits. ``keeps_format`` masks character by character; ``scope`` is the
    purpose for which tokens are made, so that those of two purposes cannot be joined.
    """

    action: Action
    entities: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    sources: frozenset[str] = frozenset()
    threshold: float = 0.0
    keeps_format: bool = False
    scope: str = "default"

    def fits(self, entity: str, field_name: str, source: str, score: float) -> bool:
        """Whether it decides about a finding."""
        return (
            (not self.entities or entity in self.entities)
            and (not self.categories or category_of(entity) in self.categories)
            and (not self.sources or source in self.sources)
            and (not self.paths or any(fnmatchcase(field_name, one) for one in self.paths))
            and score >= self.threshold
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """What is looked for from which score on, by which rules, and what happens otherwise."""

    name: str = "default"
    version: int = 0
    entities: tuple[str, ...] = DEFAULT_ENTITIES
    threshold: float = 0.5
    names: Names = "strict"
    evidence: bool = True
    rules: tuple[Rule, ...] = ()
    action: Action = "mask"
    keeps_format: bool = False
    fallback: Rule = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Keep what no rule fits as a rule of its own."""
        rule = Rule(self.action, keeps_format=self.keeps_format)
        object.__setattr__(self, "fallback", rule)

    def rule_for(self, entity: str, field_name: str, source: str, score: float) -> Rule:
        """Return the rule that decides about a finding."""
        for rule in self.rules:
            if rule.fits(entity, field_name, source, score):
                return rule
        return self.fallback

    def definition(self) -> dict[str, Any]:
        """Return it as a JSON object, without its name and version."""
        return {
            "entities": list(self.entities),
            "threshold": self.threshold,
            "names": self.names,
            "evidence": self.evidence,
            "action": self.action,
            "keep_format": self.keeps_format,
            "rules": [_rule_document(rule) for rule in self.rules],
        }


@dataclass(frozen=True, slots=True)
class Mark:
    """What a contract says of one of its fields; ``action`` comes before the policy's."""

    kind: Literal["enum", "skip", "free_text", "personal"]
    entity: str = ""
    action: Action | None = None


def category_of(entity: str) -> str:
    """Return what kind of personal data an entity is."""
    for name, entities in CATEGORIES.items():
        if entity in entities:
            return name
    return "official"


def mark_of(treatment: Mapping[str, Any]) -> Mark:
    """Return a mark as a contract spells it; an action that there is not means to mask."""
    kind, _, entity = str(treatment["class"]).partition(":")
    action = treatment.get("action")
    if action is not None and action not in ACTIONS:
        action = "mask"
    return Mark(kind, entity, action)  # type: ignore[arg-type]  # contracts know these classes alone


def policy_of(name: str, version: int, definition: Mapping[str, Any]) -> Policy:
    """Return the policy that ``Policy.definition`` described."""
    return Policy(
        name,
        version,
        tuple(definition["entities"]),
        definition["threshold"],
        definition["names"],
        definition["evidence"],
        tuple(_rule_of(rule) for rule in definition["rules"]),
        definition["action"],
        definition["keep_format"],
    )


def _rule_document(rule: Rule) -> dict[str, Any]:
    return {
        "action": rule.action,
        "entities": sorted(rule.entities),
        "categories": sorted(rule.categories),
        "paths": list(rule.paths),
        "sources": sorted(rule.sources),
        "threshold": rule.threshold,
        "keep_format": rule.keeps_format,
        "scope": rule.scope,
    }


def _rule_of(rule: Mapping[str, Any]) -> Rule:
    return Rule(
        rule["action"],
        frozenset(rule["entities"]),
        frozenset(rule["categories"]),
        tuple(rule["paths"]),
        frozenset(rule["sources"]),
        rule["threshold"],
        rule["keep_format"],
        rule["scope"],
    )
