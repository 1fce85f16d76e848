"""A receipt: what a person is given of an act of consent, signed so that nobody can change it.

It follows from the act, the policy of that moment and the entry in the audit log, so it is made
anew whenever it is asked for: the same act gives the same bytes. It names the person by the
pseudonym alone.

Source: ISO/IEC TS 27560:2023, for the structure and its names; RFC 8785, for the bytes that are
signed (there are no numbers but whole ones in it); RFC 8032, for the signature.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from privacy.consent.act import YES, ConsentEvent
from privacy.consent.policy import Policy
from privacy.consent.purpose import EVERY_PURPOSE, Purpose

SCHEMA = "ISO/IEC TS 27560:2023"
_ALGORITHM = "Ed25519"
_PREFIX = b"candor consent receipt v1\n"
_LEAF = b"\0"
_CONTROLLER, _PRINCIPAL = "controller", "pii_principal"
STATES = {
    "grant": "given",
    "import": "given",
    "withdraw": "withdrawn",
    "object": "objected",
    "refuse": "refused",
    "expire": "expired",
    "suppress": "suppressed",
    "release": "released",
    "restrict": "restricted",
    "lift": "restriction_lifted",
}
"""What an act leaves behind, in the words of a receipt."""
_PERSONS = YES | {"withdraw", "object", "refuse"}
_SAME = {"id": "record_id", "subject_key": "pii_principal_id"}


@dataclass(frozen=True, slots=True)
class Controller:
    """Who is responsible; none of what is not configured."""

    name: str | None = None
    contact: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class AuditPlace:
    """Where an act stands in the audit log, and what was hashed there."""

    index: int
    content: str


Receipt = dict[str, Any]


def receipt_of(
    event: ConsentEvent, policy: Policy, controller: Controller, place: AuditPlace | None
) -> Receipt:
    """Return the receipt of an act, unsigned; ``policy`` as it was when the act was recorded.

    ``id`` names receipt and record alike: an act has one of each.
    """
    act = event.act
    return {
        "schema_version": SCHEMA,
        "id": event.id,
        "record_id": event.id,
        "pii_principal_id": act.subject_key,
        "issued_at": _instant(event.recorded_at),
        "pii_processing": {
            "privacy_notice": act.notice,
            "privacy_notice_sha256": event.notice_digest,
            "language": act.locale,
            "purposes": [_purpose(event, policy, policy.purposes.get(act.purpose))],
        },
        "party_identification": [
            {
                "party_id": _CONTROLLER,
                "party_role": "pii_controller",
                "party_name": controller.name,
                "party_contact": controller.contact,
                "party_url": controller.url,
            }
        ],
        "events": [
            {
                "event_type": act.action,
                "event_state": STATES[act.action],
                "event_time": _instant(act.at),
                "effective_from": _instant(event.starts_at),
                "recorded_at": _instant(event.recorded_at),
                "validity_duration": _validity(event, policy),
                "entity_id": _PRINCIPAL if act.action in _PERSONS else _CONTROLLER,
            }
        ],
        "audit_log": None if place is None else _audit(place),
    }


def signed(receipt: Receipt, seed: bytes, key_id: str) -> Receipt:
    """Return a receipt with its signature; ``seed`` is the private key of the audit log."""
    value = Ed25519PrivateKey.from_private_bytes(seed).sign(_statement(receipt))
    signature = {"algorithm": _ALGORITHM, "key_id": key_id, "value": value.hex()}
    return receipt | {"signature": signature}


def fault_of(document: Mapping[str, Any], public: bytes, key_id: str) -> str | None:
    """Return why a receipt does not hold, in a sentence; none when it does.

    ``public`` is the public key of the audit log and ``key_id`` its short name.
    """
    receipt = {name: value for name, value in document.items() if name != "signature"}
    signature = document.get("signature")
    names = {"algorithm", "key_id", "value"}
    if not isinstance(signature, dict) or signature.keys() != names:
        return "The receipt bears no signature that can be checked."
    if signature["algorithm"] != _ALGORITHM:
        return "The receipt says that it was signed in another way than receipts are."
    if signature["key_id"] != key_id:
        return "The receipt was signed with another key."
    if not _is_signed(receipt, signature["value"], public):
        return "The signature does not hold: the receipt was changed after it was signed."
    if document.get("schema_version") != SCHEMA:
        return "The receipt is of a version that this command does not know."
    return _fault_of_audit(document)


def _fault_of_audit(document: Mapping[str, Any]) -> str | None:
    """Return what is wrong between a receipt and the entry of the log that it carries."""
    audit = document["audit_log"]
    if audit is None:
        return None
    content = audit["content"]
    if sha256(_LEAF + content.encode()).hexdigest() != audit["leaf_hash"]:
        return "The entry of the audit log is not the one that was hashed."
    entry = json.loads(content)
    if any(entry[name] != document[there] for name, there in _SAME.items()):
        return "The entry of the audit log is about another act."
    return None


def _is_signed(receipt: Receipt, value: object, public: bytes) -> bool:
    if not isinstance(value, str) or value != value.lower():
        return False
    try:
        signature = bytes.fromhex(value)
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _statement(receipt))
    except (InvalidSignature, ValueError):
        return False
    return signature.hex() == value


def _statement(receipt: Receipt) -> bytes:
    text = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return _PREFIX + text.encode(errors="surrogatepass")


def _purpose(event: ConsentEvent, policy: Policy, purpose: Purpose | None) -> dict[str, Any]:
    """Return the purpose in the words of the standard; of every purpose there is no more to say."""
    act = event.act
    told: dict[str, Any] = {
        "purpose": act.purpose,
        "purpose_name": None,
        "purpose_type": None,
        "lawful_basis": None,
        "pii_information": [],
        "pii_controllers": [_CONTROLLER],
        "collection_method": act.source,
        "processing_methods": [act.channel] if act.channel else [],
        "recipient_third_parties": [],
        "jurisdiction": [act.jurisdiction] if act.jurisdiction else [],
        "withdrawal_method": None,
    }
    if purpose is None or act.purpose == EVERY_PURPOSE:
        return told
    jurisdictions = (act.jurisdiction,) if act.jurisdiction else ()
    reach = policy.reaches.get((act.notice or "", act.purpose))
    recipients = purpose.recipients if reach is None else sorted(reach.recipients)
    return told | {
        "purpose_name": purpose.name,
        "purpose_type": purpose.mechanism,
        "lawful_basis": purpose.basis(jurisdictions),
        "pii_information": [{"pii_type": one} for one in purpose.data_categories],
        "recipient_third_parties": list(recipients),
        "withdrawal_method": "preference centre, one-click unsubscribe, or by word to an agent",
    }


def _validity(event: ConsentEvent, policy: Policy) -> str | None:
    """Return how long a yes lasts, as ISO 8601 spells it; none when nothing ends it."""
    act = event.act
    reach = policy.reaches.get((act.notice or "", act.purpose)) if act.action in YES else None
    return None if reach is None or reach.validity is None else _duration(reach.validity)


def _duration(period: timedelta) -> str:
    minutes = period.seconds // 60
    return f"P{period.days}D" if not minutes else f"P{period.days}DT{minutes}M"


def _audit(place: AuditPlace) -> dict[str, Any]:
    return {
        "index": place.index,
        "leaf_hash": sha256(_LEAF + place.content.encode()).hexdigest(),
        "content": place.content,
    }


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
