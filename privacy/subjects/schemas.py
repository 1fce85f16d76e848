"""What the subject endpoints take and answer. An identifier comes in a body, never in a URL."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from candor.kernel.ports import Identifier
from privacy.audit.reason import checked_reason
from privacy.subjects.index import Act, Person
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


class IdentifierIn(BaseModel):
    """An identifier by its pseudonym, as an export of another installation names it."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
    subject_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    def identifier(self) -> Identifier:
        """Return the identifier."""
        return Identifier(self.type, self.subject_key)


class RecordedIn(BaseModel):
    """A linking or unlinking of two identifiers, as an export of another installation tells it."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["link", "unlink"]
    identifiers: Annotated[list[IdentifierIn], Field(min_length=2, max_length=2)]
    source: Annotated[str, Field(max_length=120)]
    door: Annotated[str, Field(max_length=40)]
    call: Annotated[str, Field(max_length=40)]
    at: AwareDatetime
    received_at: AwareDatetime

    def act(self) -> Act:
        """Return the entry of the record."""
        pair = tuple(one.identifier() for one in self.identifiers)
        return Act(self.action, pair, self.source, self.door, self.call, self.at, self.received_at)


def reveal_document(originals: Sequence[Original]) -> dict[str, Any]:
    """Return identifiers in clear."""
    return {"identifiers": [asdict(one) for one in originals]}


def person_document(asked: Identifier, person: Person) -> dict[str, Any]:
    """Return a person: pseudonyms and who linked them, never an identifier."""
    return {
        "subject_key": asked.subject_key,
        "identifiers": [identifier_document(one) for one in person.identifiers],
        "record": [act_document(act) for act in person.acts],
    }


def act_document(act: Act) -> dict[str, Any]:
    """Return one entry of the record."""
    return {
        "action": act.action,
        "identifiers": [identifier_document(one) for one in act.identifiers],
        "source": act.source,
        "door": act.door,
        "call": act.call,
        "at": act.at.isoformat(),
        "received_at": act.received_at.isoformat(),
    }


def identifier_document(one: Identifier) -> dict[str, str]:
    """Return an identifier: its type and pseudonym."""
    return {"type": one.type, "subject_key": one.subject_key}
