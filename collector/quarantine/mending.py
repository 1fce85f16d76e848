"""What a person changes about refused events before they are sent again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonpatch
import msgspec

from candor.kernel.errors import InvalidInputError, MalformedError
from candor.kernel.ports import Refusal
from collector.contracts.contract import parse_reference
from collector.quarantine.store import Entry
from collector.receivers import native, rum
from collector.receivers.otlp_record import mended_record, record_document, signal_of
from collector.receivers.otlp_shape import DOOR as OTLP
from collector.receivers.segment_call import DOOR as SEGMENT

_NOT_JSON = "It is not a JSON object, so it cannot be mended. Send it again from its source."
_NOT_PATCHED = "The patch does not fit this event."
_PATCH_FAULTS = (
    jsonpatch.JsonPatchException,
    jsonpatch.JsonPointerException,
    TypeError,
    KeyError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class Mending:
    """The contract that the events shall name, and a JSON Patch; either may be absent.

    Source: RFC 6902.
    """

    contract: str = ""
    patch: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        if self.contract:
            parse_reference(self.contract)
        try:
            jsonpatch.JsonPatch(list(self.patch))
        except _PATCH_FAULTS:
            raise InvalidInputError(
                "The patch is no JSON Patch (RFC 6902).", path="patch"
            ) from None

    @property
    def is_nothing(self) -> bool:
        """Whether events are sent again as they came."""
        return not self.contract and not self.patch


def document_of(entry: Entry, payload: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return what was sent as JSON, a record of OTLP too; none when it is no JSON."""
    if entry.door == OTLP:
        return record_document(signal_of(entry.call), payload)
    try:
        return msgspec.json.decode(payload)
    except (msgspec.MsgspecError, RecursionError):
        return None


def mend(payload: bytes, entry: Entry, mending: Mending, most_bytes: int) -> bytes | Refusal:
    """Return a payload with the patch applied and the contract named.

    A Segment call without an id or a time of its own gets those of its first delivery, so that it
    is the same event however often it is replayed.
    """
    if mending.is_nothing and entry.door != SEGMENT:
        return payload
    document = document_of(entry, payload)
    if not isinstance(document, dict):
        return payload if mending.is_nothing else Refusal("malformed", _NOT_JSON)
    patched = _patched(document, entry, mending, most_bytes)
    if isinstance(patched, Refusal):
        return patched
    if entry.door in {native.DOOR, rum.DOOR} and mending.contract:
        patched["schema"] = mending.contract
    if entry.door == OTLP:
        return _mended_record(payload, entry, patched)
    if entry.door == SEGMENT:
        patched.setdefault("messageId", entry.id)
        if not patched.keys() & {"timestamp", "originalTimestamp"}:
            patched["timestamp"] = entry.received_at.isoformat()
    return msgspec.json.encode(patched)


def _mended_record(payload: bytes, entry: Entry, patched: Mapping[str, Any]) -> bytes | Refusal:
    try:
        return mended_record(signal_of(entry.call), payload, msgspec.json.encode(patched))
    except MalformedError as error:
        return Refusal("malformed", error.detail)


def _patched(
    document: Any,  # noqa: ANN401 - JSON
    entry: Entry,
    mending: Mending,
    most_bytes: int,
) -> dict[str, Any] | Refusal:
    """Return a document with each operation applied; copies cannot make it grow without bound."""
    try:
        for operation in mending.patch:
            document = jsonpatch.apply_patch(document, [operation])
            if len(msgspec.json.encode(document)) > most_bytes:
                return Refusal("too_large", f"Once patched it is over {most_bytes} bytes.")
    except _PATCH_FAULTS:
        return Refusal(entry.code, _NOT_PATCHED, entry.path or None)
    return document if isinstance(document, dict) else Refusal("malformed", _NOT_JSON)
