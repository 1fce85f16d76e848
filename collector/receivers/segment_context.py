"""What Candor keeps of a call's context: what tells how something worked, never who it was.

The allowed places become attributes under ``context.``. Everything else is read over: address,
user agent, traits, location, advertising and device ids, referrers, and the query of any address.

Source: Segment's "Spec: Common Fields", for the places.
"""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from collector.receivers.decoding import UNREADABLE

_GROUPS: Mapping[str, frozenset[str]] = {
    "app": frozenset({"name", "version", "build"}),
    "library": frozenset({"name", "version"}),
    "os": frozenset({"name", "version"}),
    "device": frozenset({"type"}),
    "campaign": frozenset({"name", "source", "medium"}),
}
_PLAIN = frozenset({"locale", "timezone"})
_PAGE_ADDRESSES = ("url", "referrer", "path")
_PAGE_QUERY = "search"
_MOST_BYTES = 400
_NO_SCALAR = frozenset({b"{", b"[", b"n"})
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_AFTER_PATH = re.compile(r"[?#].*", re.DOTALL)


def kept_context(context: Mapping[str, Raw] | None) -> dict[str, Raw]:
    """Return the attributes that a context becomes; what has an unexpected shape is left out."""
    kept: dict[str, Raw] = {}
    if not context:
        return kept
    for place, value in context.items():
        names = _GROUPS.get(place)
        if names is not None:
            members = _members(value)
            for name in names & members.keys():
                _keep(kept, f"{place}.{name}", members[name])
        elif place in _PLAIN:
            _keep(kept, place, value)
        elif place == "page":
            path = _text(_members(value).get("path"))
            if path is not None:
                kept["context.page.path"] = Raw(msgspec.json.encode(without_query(path)))
    return kept


def kept_integrations(integrations: Mapping[str, Raw] | None) -> dict[str, Raw]:
    """Return which destinations a call names as wanted or not; their options are not kept."""
    if not integrations:
        return {}
    return {
        f"integrations.{name}": chosen
        for name, chosen in integrations.items()
        if bytes(chosen) in {b"true", b"false"}
    }


def channel_of(context: Mapping[str, Raw] | None) -> str | None:
    """Return the channel that a context names, or none."""
    return _text(context.get("channel")) if context else None


def keep_page(properties: dict[str, Raw]) -> None:
    """Take the queries of addresses from the properties of a page: they carry mail and tokens."""
    properties.pop(_PAGE_QUERY, None)
    for name in _PAGE_ADDRESSES:
        address = _text(properties.get(name))
        if address is not None:
            properties[name] = Raw(msgspec.json.encode(without_query(address)))


def without_query(address: str) -> str:
    """Return an address up to its query or fragment."""
    return _AFTER_PATH.sub("", address)


def _keep(kept: dict[str, Raw], name: str, value: Raw) -> None:
    if len(value) <= _MOST_BYTES and bytes(value)[:1] not in _NO_SCALAR:
        kept[f"context.{name}"] = value


def _members(value: Raw | None) -> Mapping[str, Raw]:
    try:
        return _MEMBERS.decode(value) if value is not None and bytes(value)[:1] == b"{" else {}
    except UNREADABLE:
        return {}


def _text(value: Raw | None) -> str | None:
    """Return a text; nothing for anything else, also for a number that no decoder takes."""
    try:
        decoded = msgspec.json.decode(value) if value is not None else None
    except UNREADABLE:
        return None
    return decoded if isinstance(decoded, str) else None
