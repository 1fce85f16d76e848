"""What the quarantine endpoints take and answer."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from candor.kernel.errors import InvalidInputError
from candor.kernel.ports import REFUSAL_CODES
from candor.kernel.settings import QuarantineSettings
from collector.quarantine.mending import Mending, document_of
from collector.quarantine.store import Entry

MOST_AT_ONCE = 1000
_MOST_OPERATIONS = 100
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
Pointer = Annotated[str, Field(max_length=2000)]


class Operation(BaseModel):
    """One operation of a JSON Patch. Source: RFC 6902, section 4."""

    model_config = ConfigDict(extra="ignore")

    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: Pointer
    source: Annotated[Pointer | None, Field(alias="from")] = None
    value: Any = None

    @model_validator(mode="after")
    def _whole(self) -> "Operation":
        needed = {"move": "source", "copy": "source", "remove": "path"}.get(self.op, "value")
        if needed not in self.model_fields_set:
            raise ValueError(f"{self.op} needs {'from' if needed == 'source' else needed}")
        return self


class ReplayBody(BaseModel):
    """Which events to send again, and what to change about them."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64)]],
        Field(min_length=1, max_length=MOST_AT_ONCE),
    ]
    contract: Annotated[str, Field(max_length=200)] | None = None
    patch: Annotated[list[Operation], Field(max_length=_MOST_OPERATIONS)] | None = None

    def mending(self) -> Mending:
        """Return what is to be changed.

        Raises:
            InvalidInputError: the contract is no reference, or the patch is none.
        """
        operations = [one.model_dump(by_alias=True, exclude_unset=True) for one in self.patch or ()]
        return Mending(self.contract or "", operations)


def reason(code: str) -> str:
    """Return a code that chooses entries; empty chooses all.

    Raises:
        InvalidInputError: nothing is ever refused for that.
    """
    if code and code not in REFUSAL_CODES:
        raise InvalidInputError(
            f"There is no such code. Codes are: {', '.join(REFUSAL_CODES)}.", path="code"
        )
    return code


def first_instant(
    since: datetime | str | None, now: datetime, settings: QuarantineSettings
) -> datetime:
    """Return the instant at which a listing begins: that of the oldest entry if none is asked for.

    Raises:
        InvalidInputError: it is none, or has no zone.
    """
    if since is None:
        return now - settings.retention - timedelta(days=1)
    try:
        at = datetime.fromisoformat(since) if isinstance(since, str) else since
        if at.tzinfo is not None:
            return max(at.astimezone(UTC), _EARLIEST)
    except (ValueError, OverflowError):
        pass
    raise InvalidInputError("Write an instant with its zone: 2026-11-22T09:00:00Z.", path="since")


def entry_document(entry: Entry, replayed: datetime | None) -> dict[str, Any]:
    """Return an entry without what was sent."""
    return {
        "id": entry.id,
        "received_at": entry.received_at.isoformat(),
        "code": entry.code,
        "path": entry.path or None,
        "message": entry.message,
        "door": entry.door,
        "source": entry.source or None,
        "contract": entry.contract or None,
        "subject_key": entry.subject_key or None,
        "size_bytes": entry.size_bytes,
        "expires_at": entry.expires_at.isoformat(),
        "replayed_at": replayed.isoformat() if replayed is not None else None,
    }


def payload_document(entry: Entry, payload: bytes | None) -> dict[str, Any]:
    """Return what was sent: as JSON where it is, and as text where it is not."""
    if payload is None:
        return {"payload": None, "payload_text": None}
    document = document_of(entry, payload)
    text = payload.decode(errors="replace") if document is None else None
    return {"payload": document, "payload_text": text}
