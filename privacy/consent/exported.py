"""An act as an export of the ledger tells it, and how another installation reads that again.

The person is named by the pseudonym. It means somebody only under the same master key, so each row
names the key that it was written under.
"""

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from candor.kernel.errors import InvalidInputError
from privacy.consent.act import Act, Action, ConsentEvent, Source
from privacy.consent.ledger import Elsewhere
from privacy.consent.schemas import Word, event_document

_ACT_FIELDS = (
    *("subject_key", "subject_type", "purpose", "action", "at", "source", "notice", "method"),
    *("actor", "evidence", "locale", "jurisdiction", "ip_prefix", "user_agent_hash", "origin"),
)


class ExportedBody(BaseModel):
    """A row of an export."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(max_length=36)]
    key_id: Annotated[str, Field(max_length=16)]
    subject_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    subject_type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
    purpose: Annotated[str, Field(max_length=63)]
    channel: Word | None = None
    action: Action
    at: AwareDatetime
    starts_at: AwareDatetime
    recorded_at: AwareDatetime
    recorded_by: str
    source: Source
    notice: Annotated[str, Field(max_length=95)] | None = None
    notice_digest: Annotated[str, Field(max_length=64)] | None = None
    method: Word | None = None
    actor: Word | None = None
    evidence: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    locale: Annotated[str, Field(max_length=40)] | None = None
    jurisdiction: Annotated[str, Field(max_length=20)] | None = None
    ip_prefix: Annotated[str, Field(max_length=50)] | None = None
    user_agent_hash: Annotated[str, Field(max_length=150)] | None = None
    origin: Annotated[str, Field(max_length=300)] | None = None

    def act(self, key_id: str) -> Act:
        """Return the act; ``key_id`` names the key of this installation.

        Raises:
            InvalidInputError: the pseudonym was made under another master key.
        """
        if self.key_id != key_id:
            raise InvalidInputError(
                "This pseudonym was made under another master key and is nobody's here. Import with"
                " the master key of the installation that was exported.",
                path="key_id",
            )
        said = {name: getattr(self, name) for name in _ACT_FIELDS}
        return Act(channel=self.channel or "", **said)

    def elsewhere(self) -> Elsewhere:
        """Return how the exported ledger holds the act."""
        return Elsewhere(self.id, self.notice_digest, self.starts_at)


def exported_document(event: ConsentEvent, key_id: str) -> dict[str, Any]:
    """Return an act as a row of an export."""
    return event_document(event) | {"key_id": key_id}
