"""What revealing takes and answers."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from privacy.audit.reason import checked_reason
from privacy.vault.revealing import Fault, Revealed, Sought

MOST_AT_ONCE = 500
_TOLD: dict[Fault, str] = {
    "malformed": "This is neither a token (tok_...) nor an encrypted text (enc1...).",
    "unknown": "The vault does not know it, or its person's key is destroyed.",
    "destroyed": "The key of its person is destroyed: nobody can read it any more.",
    "mismatch": "It does not open here: name the field where it stands, and the right person.",
}
_Text = Annotated[str, Field(min_length=1, max_length=400_000)]
_Subject = Annotated[str, Field(max_length=64)]


class SealedBody(BaseModel):
    """One text, with the field where it stands if it is encrypted, and whose it should be."""

    model_config = ConfigDict(extra="forbid")

    text: _Text
    field: Annotated[str, Field(max_length=2000)] = ""
    subject_key: _Subject | None = None


class RevealBody(BaseModel):
    """Tokens and encrypted texts, and why somebody must know: kept for ever in the audit log."""

    model_config = ConfigDict(extra="forbid")

    tokens: Annotated[list[_Text | SealedBody], Field(min_length=1, max_length=MOST_AT_ONCE)]
    reason: Annotated[str, Field(max_length=200)]

    @field_validator("reason")
    @classmethod
    def _impersonal(cls, reason: str) -> str:
        return checked_reason(reason)

    def sought(self) -> list[Sought]:
        """Return what is sought, in order."""
        return [
            Sought(one) if isinstance(one, str) else Sought(one.text, one.field, one.subject_key)
            for one in self.tokens
        ]


def reveal_document(sought: Sequence[Sought], found: Sequence[Revealed]) -> dict[str, Any]:
    """Return what was revealed, in the order in which it was asked for."""
    return {
        "revealed": sum(one.fault is None for one in found),
        "results": [
            {
                "token": asked.text,
                "value": one.value,
                "subject_key": one.subject_key or None,
                "error": one.fault,
                "message": None if one.fault is None else _TOLD[one.fault],
            }
            for asked, one in zip(sought, found, strict=True)
        ],
    }
