"""What the endpoints of PII protection take and answer."""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from candor.kernel.errors import InvalidInputError
from candor.kernel.field_ports import Action
from privacy.audit.reason import checked_reason
from privacy.pii.finding import pointer
from privacy.pii.policy import (
    BIRTH,
    CATEGORIES,
    DEFAULT_ENTITIES,
    LOCATION,
    PERSON,
    Names,
    Policy,
    Rule,
)
from privacy.pii.rescan_report import Wanted
from privacy.pii.scanning import Scan

Entity = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=80)]
Score = Annotated[float, Field(ge=0, le=1)]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_OFFICIAL = "official"
_NAMED = frozenset({PERSON, LOCATION, BIRTH})


class RuleBody(BaseModel):
    """A rule of a policy: what is left out fits everything."""

    model_config = ConfigDict(extra="forbid")

    action: Action
    entities: list[Entity] = []
    categories: list[Annotated[str, Field(max_length=40)]] = []
    paths: list[Annotated[str, Field(min_length=1, max_length=300)]] = []
    sources: list[Annotated[str, Field(max_length=200)]] = []
    threshold: Score = 0.0
    keep_format: bool = False
    scope: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$")] = "default"

    def rule(self) -> Rule:
        """Return the rule that it describes."""
        return Rule(
            self.action,
            frozenset(self.entities),
            frozenset(self.categories),
            tuple(self.paths),
            frozenset(self.sources),
            self.threshold,
            self.keep_format,
            self.scope,
        )


class PolicyBody(BaseModel):
    """A policy to put; without anything it is the default one."""

    model_config = ConfigDict(extra="forbid")

    entities: Annotated[list[Entity], Field(min_length=1, max_length=200)] = list(DEFAULT_ENTITIES)
    threshold: Score = 0.5
    names: Names = "strict"
    evidence: bool = True
    action: Action = "mask"
    keep_format: bool = False
    rules: Annotated[list[RuleBody], Field(max_length=500)] = []

    def policy(self, name: str) -> Policy:
        """Return the policy that it describes, not stored yet.

        Raises:
            InvalidInputError: a rule names a category that there is not.
        """
        known = {*CATEGORIES, _OFFICIAL}
        for n, rule in enumerate(self.rules):
            if not set(rule.categories) <= known:
                raise InvalidInputError(
                    f"Categories are some of {', '.join(sorted(known))}.",
                    path=f"rules.{n}.categories",
                )
        return Policy(
            name,
            0,
            tuple(dict.fromkeys(self.entities)),
            self.threshold,
            self.names,
            self.evidence,
            tuple(rule.rule() for rule in self.rules),
            self.action,
            self.keep_format,
        )


class ScanBody(BaseModel):
    """A text or a payload to scan, and by what."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=1_000_000)] | None = None
    payload: Any = None
    policy: Annotated[str, Field(max_length=120)] = "default"
    entities: Annotated[list[Entity], Field(min_length=1, max_length=200)] | None = None
    threshold: Score | None = None
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")] = "en"

    @model_validator(mode="after")
    def _one_of_them(self) -> "ScanBody":
        if (self.text is None) is ("payload" not in self.model_fields_set):
            raise ValueError("send either text or payload")
        return self

    def adapted(self, policy: Policy) -> Policy:
        """Return a policy with the entities and threshold of this question.

        Who names them wants what the recognizers say, without the evidence that a policy asks for.
        """
        if self.entities is None and self.threshold is None:
            return policy
        entities = policy.entities if self.entities is None else tuple(self.entities)
        names = policy.names
        if self.entities is not None:
            names = "off" if _NAMED.isdisjoint(entities) else "strict"
        return Policy(
            policy.name,
            policy.version,
            tuple(dict.fromkeys(entities)),
            policy.threshold if self.threshold is None else self.threshold,
            names,
            evidence=False,
            rules=policy.rules,
            action=policy.action,
            keeps_format=policy.keeps_format,
        )


class TestBody(BaseModel):
    """A policy to try on payloads before it is put; without one, the policy that stands."""

    model_config = ConfigDict(extra="forbid")

    policy: PolicyBody | None = None
    payloads: Annotated[list[Any], Field(min_length=1, max_length=1000)]


class TriageBody(BaseModel):
    """What somebody decided about a finding."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["accept", "false_positive"]
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class RescanBody(BaseModel):
    """What to look into once more, and whether the policy in force is applied to it."""

    model_config = ConfigDict(extra="forbid")

    tables: Annotated[list[Annotated[str, Field(max_length=80)]], Field(max_length=50)] = []
    sample: Annotated[int, Field(ge=1)] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    apply: bool = False
    reason: Annotated[str, Field(max_length=500)] = ""

    @field_validator("reason")
    @classmethod
    def _holds_no_address(cls, reason: str) -> str:
        return checked_reason(reason) if reason.strip() else ""

    def wanted(self) -> Wanted:
        """Return what it asks for."""
        tables = tuple(dict.fromkeys(self.tables))
        return Wanted(tables, self.sample, self.since, self.until, self.apply)


def name_of(name: str) -> str:
    """Return a name that a policy may bear.

    Raises:
        InvalidInputError: it may not.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "A policy's name has 1 to 120 letters, digits, dots, dashes or underscores.",
            path="name",
        )
    return name


def policy_document(policy: Policy) -> dict[str, Any]:
    """Return a policy with its name and version; version 0 is what Candor comes with."""
    return {"name": policy.name, "version": policy.version} | policy.definition()


def scan_document(scan: Scan) -> dict[str, Any]:
    """Return what a scan found and made; no value of a finding is repeated."""
    return {"findings": finding_documents(scan), "payload": scan.payload}


def finding_documents(scan: Scan) -> Sequence[dict[str, Any]]:
    """Return the findings of a scan."""
    return [
        {
            "path": pointer(one.path),
            "entity": one.finding.entity,
            "start": one.finding.start,
            "end": one.finding.end,
            "score": one.finding.score,
            "recognizer": one.finding.recognizer,
            "action": one.action,
        }
        for one in scan.findings
    ]


def encoded(document: Any) -> bytes:  # noqa: ANN401 - a JSON document
    """Return a document as JSON that every reader takes.

    Raises:
        InvalidInputError: it repeats a number that JSON does not have.
    """
    try:
        return json.dumps(document, allow_nan=False).encode()
    except ValueError:
        raise InvalidInputError(
            "The payload holds a number that is none.", path="payload"
        ) from None
