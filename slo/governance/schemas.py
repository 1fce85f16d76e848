"""Corrections, annotations, policies and overrides as callers write and read them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from fractions import Fraction
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from candor.kernel.errors import InvalidInputError
from candor.kernel.ids import new_id
from slo.correction import Category, Correction, check_correction
from slo.governance.annotation import Annotation, Kind
from slo.governance.store import PutPolicy
from slo.policy import Decision, Override, Policy, Reason, Step, check_policy, decide

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _within_reach(at: datetime) -> datetime:
    if not _EARLIEST <= at < _LATEST:
        raise ValueError("an instant from 1970 to 2199")
    return at


def _without_nul(text: str) -> str:
    if "\0" in text:  # PostgreSQL keeps none
        raise ValueError("text without the character NUL")
    return text


def _with_words(text: str) -> str:
    if not text.strip():
        raise ValueError("words, and not spaces alone")
    return _without_nul(text)


Instant = Annotated[AwareDatetime, AfterValidator(_within_reach)]
Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_with_words)]
Name = Annotated[str, Field(min_length=1, max_length=63), AfterValidator(_without_nul)]
ObjectiveName = Annotated[str, Field(max_length=80), AfterValidator(_without_nul)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CorrectionBody(_Body):
    """What to leave out of which budgets, and why."""

    objective: ObjectiveName | None = None
    selector: dict[Text, Text] = {}
    since: Instant
    until: Instant
    rrule: Annotated[str, Field(max_length=400)] | None = None
    zone: str = "UTC"
    category: Category
    reason: Text

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError("not a time zone of the IANA database")
        return zone

    def correction(self, author: str, at: datetime) -> Correction:
        """Return what is meant.

        Raises:
            InvalidInputError: it cannot be meant.
        """
        correction = Correction(
            id=new_id(at), author=author, created_at=at, **self.model_dump(mode="python")
        )
        check_correction(correction)
        return correction


class AnnotationBody(_Body):
    """What happened, when, to what."""

    kind: Kind
    service: Name | None = None
    objective: ObjectiveName | None = None
    at: Instant
    until: Instant | None = None
    text: Text
    link: Annotated[str, Field(max_length=1000, pattern="^https?://")] | None = None

    def annotation(self, author: str, now: datetime) -> Annotation:
        """Return what is meant.

        Raises:
            InvalidInputError: it ends before it begins.
        """
        if self.until is not None and self.until < self.at:
            raise InvalidInputError("An annotation ends after it begins.", path="until")
        return Annotation(id=new_id(now), author=author, created_at=now, **self.model_dump())


class StepBody(_Body):
    """Below which share of the budget to do what."""

    below: Annotated[float, Field(ge=-1000, le=1)]
    decision: Decision
    text: Text


class PolicyBody(_Body):
    """The steps of a service; of all services without their own when it names none."""

    service: Name | None = None
    owner: Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_with_words)]
    steps: Annotated[list[StepBody], Field(min_length=1, max_length=20)]

    def policy(self, name: str) -> Policy:
        """Return what is meant.

        Raises:
            InvalidInputError: two steps stand at one share.
        """
        steps = tuple(
            Step(Fraction(str(step.below)), step.decision, step.text) for step in self.steps
        )
        policy = Policy(name, self.service, self.owner, steps)
        check_policy(policy)
        return policy


class OverrideBody(_Body):
    """Release all the same: what, why, until when."""

    service: Name
    decision: Decision = "go"
    reason: Text
    expires_at: Instant

    def override(self, author: str, at: datetime) -> Override:
        """Return what is meant.

        Raises:
            InvalidInputError: it expires before it begins.
        """
        if self.expires_at <= at:
            raise InvalidInputError("An override expires after now.", path="expires_at")
        return Override(
            new_id(at), self.service, self.decision, self.reason, author, at, self.expires_at
        )


def correction_document(correction: Correction) -> dict[str, Any]:
    """Return a correction, undone or not."""
    return _instants(asdict(correction))


def preview_document(
    name: str, before: Fraction | None, after: Fraction | None, corrected_seconds: float
) -> dict[str, Any]:
    """Return what a correction would change for one objective, in numbers and as a sentence."""
    return {
        "objective": name,
        "remaining_before": _float(before),
        "remaining_after": _float(after),
        "corrected_seconds": corrected_seconds,
        "sentence": f"{name}: remaining {cut_percent(before)} -> {cut_percent(after)}",
    }


def annotation_document(annotation: Annotation) -> dict[str, Any]:
    """Return an annotation."""
    return _instants(asdict(annotation))


def policy_document(put: PutPolicy) -> dict[str, Any]:
    """Return a policy, and who put it when."""
    policy = put.policy
    return {
        "name": policy.name,
        "service": policy.service,
        "owner": policy.owner,
        "steps": [
            {"below": float(step.below), "decision": step.decision, "text": step.text}
            for step in policy.steps
        ],
        "author": put.author,
        "applied_at": put.applied_at.isoformat(),
    }


def override_document(override: Override) -> dict[str, Any]:
    """Return an override."""
    return _instants(asdict(override))


def gate_document(
    service: str, reasons: Sequence[Reason], override: Override | None
) -> dict[str, Any]:
    """Return what the gate says, and why; an override in force decides and is named."""
    document: dict[str, Any] = {
        "service": service,
        "decision": override.decision if override is not None else decide(reasons),
        "reasons": [
            {
                "objective": reason.objective,
                "remaining": float(reason.remaining),
                "policy": reason.policy,
                "text": reason.step.text,
            }
            for reason in reasons
        ],
    }
    if override is not None:
        document["override"] = override_document(override)
    return document


def cut_percent(ratio: Fraction | None) -> str:
    """Return a share as percent with one decimal, cut towards less and never rounded up."""
    if ratio is None:
        return "unknown"
    tenths = ratio * 1000
    whole = tenths.numerator // tenths.denominator
    sign = "-" if whole < 0 else ""
    return f"{sign}{abs(whole) // 10}.{abs(whole) % 10} %"


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def _instants(document: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in document.items()
    }
