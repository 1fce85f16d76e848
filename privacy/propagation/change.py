"""What subscribers are told: an act of consent as a CloudEvent, about a pseudonym."""

from collections.abc import Sequence
from typing import Any

from candor.kernel.ports import Original
from privacy.consent.act import ConsentEvent
from privacy.propagation.position import Position

TYPE_PREFIX = "dev.candor.consent."


def place_of(event: ConsentEvent) -> Position:
    """Return where an act stands in the ledger."""
    return Position(event.turn, event.number)


def change_event(event: ConsentEvent, identifiers: Sequence[Original] = ()) -> dict[str, Any]:
    """Return an act as a CloudEvent in structured mode.

    Its id is that of the act, the same at every attempt; ``sequence`` sorts as the ledger does, so
    that a receiver can tell what is older than what it knows. Of the provenance only what tells
    nothing more about the person goes along. ``identifiers`` are there when the subscriber needs
    them and they are kept.

    Source: CloudEvents 1.0.2, section "Required attributes"; extension "Sequence".
    """
    act, place = event.act, place_of(event)
    data: dict[str, Any] = {
        "id": event.id,
        "subject_key": act.subject_key,
        "subject_type": act.subject_type,
        "purpose": act.purpose,
        "channel": act.channel or None,
        "action": act.action,
        "at": act.at.isoformat(),
        "starts_at": event.starts_at.isoformat(),
        "recorded_at": event.recorded_at.isoformat(),
        "source": act.source,
        "notice": act.notice,
        "locale": act.locale,
        "jurisdiction": act.jurisdiction,
        "position": str(place),
    }
    if identifiers:
        data["identifiers"] = [{"type": one.type, "value": one.value} for one in identifiers]
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": "/candor/consent",
        "type": f"{TYPE_PREFIX}{act.action}",
        "subject": act.subject_key,
        "time": event.recorded_at.isoformat(),
        "sequence": place.sequence,
        "datacontenttype": "application/json",
        "data": data,
    }
