"""Identifiers as they were given: kept sealed, and read only for a reason that stays on record.

They are kept where somebody acts for a person: with an act of consent, and with a link that someone
decided. Telemetry leaves none behind.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from candor.kernel.errors import ConflictError, NotFoundError
from candor.kernel.ids import new_id
from candor.kernel.secrets import Secrets
from privacy.audit.store import Entry, append
from privacy.subjects import store
from privacy.subjects.sealing import open_sealed, seal


@dataclass(frozen=True, slots=True)
class Original:
    """An identifier in clear, with its pseudonym."""

    type: str
    subject_key: str
    value: str


@dataclass(frozen=True, slots=True)
class Reveal:
    """Who wants to read which person's identifiers, why, and with ``linked`` all of that person."""

    subject_key: str
    reason: str
    by: str
    linked: bool = False


def keep_originals(
    session: Session, secrets: Secrets, said: Iterable[tuple[str, str]], at: datetime
) -> None:
    """Keep identifiers, each a type and a value; of one that is kept already the first stays."""
    by_key: dict[str, tuple[str, str]] = {}
    for subject_type, value in said:
        by_key.setdefault(secrets.subject_key(subject_type, value), (subject_type, value.strip()))
    rows = [
        (key, subject_type, seal(secrets.identifier_key, key, subject_type, value))
        for key, (subject_type, value) in by_key.items()
    ]
    store.add_identifiers(session, rows, at)


def reveal_originals(
    session: Session, secrets: Secrets, reveal: Reveal, at: datetime
) -> tuple[str, list[Original]]:
    """Return the id under which this is on record, and the identifiers, by key.

    They may leave only when the transaction is committed: what was read is in the audit log then,
    with a digest of the reason.

    Raises:
        NotFoundError: none is kept.
        ConflictError: one is sealed under another master key.
    """
    identifier = new_id(at)
    store.add_reveal(session, {"id": identifier, "at": at, **asdict(reveal)})
    keys = [reveal.subject_key]
    if reveal.linked:
        keys = [one.subject_key for one in store.siblings(session, keys[0])] or keys
    found = [
        Original(subject_type, key, _opened(secrets, key, subject_type, sealed))
        for key, subject_type, sealed in store.identifiers(session, keys)
    ]
    if not found:
        raise NotFoundError(
            "No identifier of this person is kept: they are kept with acts of consent and with"
            " links that someone decided."
        )
    particulars = {
        "reveal": identifier,
        "subject_keys": [one.subject_key for one in found],
        "reason_digest": hashlib.sha256(reveal.reason.encode()).hexdigest(),
        "by": reveal.by,
    }
    append(session, [Entry("subject.reveal", at, particulars)])
    return identifier, found


def _opened(secrets: Secrets, key: str, subject_type: str, sealed: bytes) -> str:
    value = open_sealed(secrets.identifier_key, key, subject_type, sealed)
    if value is None:
        raise ConflictError(
            "An identifier cannot be opened: it was sealed under another master key, or changed."
            " Look for the master key that this store was written with."
        )
    return value
