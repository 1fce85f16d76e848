"""Receipts as people read them: the same facts as the signed file, line by line."""

import re
from datetime import datetime
from typing import Any

from dashboards.words import Words
from privacy.consent.purpose import EVERY_PURPOSE
from privacy.consent.receipt import Receipt

_JSON, _HTML, _TEXT = "application/json", "text/html", "text/plain"
OFFERED = (_JSON, _HTML, _TEXT)


def receipt_rows(receipt: Receipt, words: Words) -> list[tuple[str, str]]:
    """Return what a receipt says, as pairs of a name and a value; what is unknown is left out."""
    processing, event = receipt["pii_processing"], receipt["events"][0]
    purpose, controller = processing["purposes"][0], receipt["party_identification"][0]
    channels = purpose["processing_methods"]
    basis = purpose["lawful_basis"]
    responsible = [controller[f"party_{name}"] for name in ("name", "contact", "url")]
    rows: list[tuple[str, str | None]] = [
        ("number", receipt["id"]),
        ("decision", words.of("state", event["event_state"])),
        ("purpose", _purpose_name(purpose, words)),
        ("channel", words.of("channel", channels[0] if channels else "")),
        ("at", words.moment(datetime.fromisoformat(event["event_time"]))),
        ("notice", processing["privacy_notice"]),
        ("language", processing["language"]),
        ("ground", words.of("basis", basis) if basis else None),
        ("recipients", ", ".join(purpose["recipient_third_parties"])),
        ("data", ", ".join(one["pii_type"] for one in purpose["pii_information"])),
        ("lasts", _duration(event["validity_duration"], words)),
        ("said", words.of("source", purpose["collection_method"])),
        ("controller", ", ".join(one for one in responsible if one)),
        ("person", receipt["pii_principal_id"]),
        ("key", receipt["signature"]["key_id"]),
    ]
    return [(words.of("field", name), value) for name, value in rows if value]


def receipt_text(receipt: Receipt, words: Words, key: str) -> str:
    """Return a receipt as plain text; ``key`` is the public key, in hexadecimal digits."""
    rows = receipt_rows(receipt, words)
    width = max(len(name) for name, _ in rows)
    told = [words("receipt_title"), ""]
    told += [f"{name + ':':{width + 1}} {value}" for name, value in rows]
    return "\n".join([*told, "", words("receipt_check", key=key), ""])


def media_type_for(accept: str) -> str:
    """Return the media type that ``Accept`` ranks highest; JSON where it does not care.

    Source: RFC 9110, section 12.5.1.
    """
    weights = {_JSON: 0.0, _HTML: 0.0, _TEXT: 0.0}
    exactness = dict.fromkeys(OFFERED, -1)
    for part in accept[:1000].lower().split(","):
        name, *parameters = (one.strip() for one in part.split(";"))
        weight = _weight(parameters)
        for offered in OFFERED:
            exact = (name == "*/*") + 2 * (name == f"{offered.split('/')[0]}/*")
            exact += 3 * (name == offered)
            if exact > max(0, exactness[offered]):
                weights[offered], exactness[offered] = weight, exact
    best = max(OFFERED, key=lambda one: weights[one])
    return best if weights[best] > 0 else _JSON


def _weight(parameters: list[str]) -> float:
    value = next((one.partition("=")[2] for one in parameters if one.startswith("q=")), "1")
    try:
        return float(value)
    except ValueError:
        return 0.0


def _duration(period: str | None, words: Words) -> str | None:
    """Return whole days as people say them; what is finer stays as ISO 8601 spells it."""
    days = re.fullmatch(r"P(\d+)D", period or "")
    return words("days", count=days[1]) if days else period


def _purpose_name(purpose: dict[str, Any], words: Words) -> str:
    if purpose["purpose"] == EVERY_PURPOSE:
        return words("every_purpose")
    return str(purpose["purpose_name"] or purpose["purpose"])
