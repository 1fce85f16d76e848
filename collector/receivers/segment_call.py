"""One Segment call: its fields, when it happened, and which identifiers it says are of one person.

Source: Segment's "Spec" for the fields, "Spec: Common Fields" for the times.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Raw

from candor.kernel.ports import Identifier, Link, Provenance
from collector.receivers.decoding import Attributes, Reception

DOOR = "segment"
CallType = Literal["track", "identify", "page", "screen", "group", "alias"]
CALL_TYPES: tuple[CallType, ...] = get_args(CallType)

_NOBODY = frozenset(
    {
        *("0", "-1", "null", "none", "nil", "undefined", "nan", "true", "false", "n/a"),
        *("unknown", "anonymous", "guest", "[object object]"),
        "00000000-0000-0000-0000-000000000000",
    }
)
_LEAST_DIGITS = 7
_ABOUT_ONE = frozenset({"track", "page", "screen"})

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Id = str | int | None


class Call(msgspec.Struct, rename="camel", gc=False):
    """One call; fields that Candor does not use are read over."""

    type: str = ""
    message_id: Annotated[str, Meta(max_length=200)] | None = None
    user_id: Id = None
    anonymous_id: Id = None
    event: Name | None = None
    name: Annotated[str, Meta(max_length=200)] | None = None
    category: Annotated[str, Meta(max_length=200)] | None = None
    channel: Annotated[str, Meta(max_length=100)] | None = None
    group_id: Id = None
    previous_id: Id = None
    timestamp: datetime | None = None
    original_timestamp: datetime | None = None
    sent_at: datetime | None = None
    received_at: object = None
    properties: Attributes | None = None
    traits: dict[str, Raw] | None = None
    context: dict[str, Raw] | None = None
    integrations: dict[str, Raw] | None = None


def time_of(call: Call, batch_sent_at: datetime | None, reception: Reception) -> datetime | None:
    """Return when a call happened, by our clock; none when no calendar has that instant.

    The clock of the client may be wrong, but it was equally wrong when it sent the call: what lies
    between the act and the sending is taken from the time of reception. A call that went through
    Segment before (it has ``receivedAt``) was corrected there.
    """
    sent_at = call.sent_at or batch_sent_at
    if sent_at is None or call.received_at is not None:
        return _utc(call.timestamp or call.original_timestamp or reception.received_at)
    said = call.original_timestamp or call.timestamp or sent_at
    try:
        return reception.received_at - (_utc(sent_at) - _utc(said))
    except OverflowError:
        return None


def link_of(call: Call, kind: str, at: datetime, reception: Reception) -> Link | None:
    """Return what a call says about who is who; none when it names one identifier alone.

    ``previousId`` may have been of either kind, and is linked as both. Placeholders such as
    "undefined" or "guest" stand for everybody and are linked with nobody.
    """
    if kind in _ABOUT_ONE and (call.user_id is None or call.anonymous_id is None):
        return None
    named = [("user_id", call.user_id), ("anonymous_id", call.anonymous_id)]
    if kind == "alias":
        named += [("anonymous_id", call.previous_id), ("user_id", call.previous_id)]
    identifiers = [_identifier(type_, value, reception) for type_, value in named if _is_one(value)]
    if kind == "identify" and call.traits:
        identifiers += _contacts(call.traits, reception)
    group = None
    if kind == "group" and _is_one(call.group_id):
        group = _identifier("group_id", call.group_id, reception)
    distinct = tuple(dict.fromkeys(identifiers))
    if not distinct or (len(distinct) == 1 and group is None):
        return None
    source = reception.source or DOOR
    return Link(distinct, Provenance(source, DOOR, kind, at, reception.received_at), group)


def is_absent(value: Id) -> bool:
    """Whether an identifier is missing or blank."""
    return value is None or not str(value).strip()


def _contacts(traits: dict[str, Raw], reception: Reception) -> list[Identifier]:
    """Return the e-mail address and telephone number among traits, as pseudonyms."""
    found = []
    for type_ in ("email", "phone"):
        value = msgspec.json.decode(traits[type_]) if type_ in traits else None
        if not isinstance(value, str | int) or isinstance(value, bool):
            continue
        text = str(value)
        digits = sum(character.isdigit() for character in text)
        if "@" in text if type_ == "email" else digits >= _LEAST_DIGITS:
            found.append(_identifier(type_, text, reception))
    return found


def _is_one(value: Id) -> bool:
    return not is_absent(value) and str(value).strip().casefold() not in _NOBODY


def _identifier(type_: str, value: Id, reception: Reception) -> Identifier:
    return Identifier(type_, reception.secrets.subject_key(type_, str(value)))


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
