"""What the subject endpoints take and answer. An identifier comes in a body, never in a URL."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from candor.kernel.ports import Identifier
from privacy.audit.reason import checked_reason
from privacy.subjects.index import Person
from privacy.subjects.originals import Original


class SubjectIn(BaseModel):
    """A person as somebody knows them."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40, examples=["email"])]
    value: Annotated[str, Field(pattern=r"\S", max_length=200, examples=["customer-1@example.org"])]


class UnlinkIn(SubjectIn):
    """An identifier to take from its person, or only from one other identifier."""

    other: SubjectIn | None = None


class LinkIn(BaseModel):
    """Identifiers that someone decided are of one person."""

    model_config = ConfigDict(extra="forbid")

    subjects: Annotated[list[SubjectIn], Field(min_length=2, max_length=20)]


class RevealIn(BaseModel):
    """Whose identifiers are wanted in clear, and why: kept for ever in the audit log.

    With ``linked`` all of the person's are.
    """

    model_config = ConfigDict(extra="forbid")

    subject_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reason: Annotated[str, Field(max_length=200)]
    linked: bool = False

    @field_validator("reason")
    @classmethod
    def _impersonal(cls, reason: str) -> str:
        return checked_reason(reason)


def reveal_document(originals: Sequence[Original]) -> dict[str, Any]:
    """Return identifiers in clear."""
    return {"identifiers": [asdict(one) for one in originals]}


def person_document(asked: Identifier, person: Person) -> dict[str, Any]:
    """Return a person: pseudonyms and who linked them, never an identifier."""
    return {
        "subject_key": asked.subject_key,
        "identifiers": [_identifier(one) for one in person.identifiers],
        "record": [
            {
                "action": act.action,
                "identifiers": [_identifier(one) for one in act.identifiers],
                "source": act.source,
                "door": act.door,
                "call": act.call,
                "at": act.at.isoformat(),
                "received_at": act.received_at.isoformat(),
            }
            for act in person.acts
        ],
    }


def _identifier(one: Identifier) -> dict[str, str]:
    return {"type": one.type, "subject_key": one.subject_key}
