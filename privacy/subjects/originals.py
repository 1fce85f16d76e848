"""Identifiers as they were given: kept sealed, and read only for a reason that stays on record.

They are kept where somebody acts for a person: with an act of consent, and with a link that someone
decided. Telemetry leaves none behind.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from candor.kernel import ports
from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from candor.kernel.secrets import Secrets
from privacy.audit.reason import repeats
from privacy.audit.store import Entry, append
from privacy.subjects import store
from privacy.subjects.sealing import open_sealed, seal


@dataclass(frozen=True, slots=True)
class Original:
    """An identifier in clear, with its pseudonym."""

    type: str
    subject_key: str
    value: str = field(repr=False)


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
    engine: Engine, secrets: Secrets, reveal: Reveal, at: datetime
) -> list[Original]:
    """Return the identifiers, by key; that they were read, and why, is in the audit log then.

    Raises:
        NotFoundError: none is kept.
        ConflictError: one is sealed under another master key.
        InvalidInputError: the reason repeats one of them; it is not kept, but the attempt is, or
            reasons could be used to guess identifiers unseen.
    """
    with session_of(engine) as session:
        store.take_turn(session)
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
        is_repeated = any(repeats(reveal.reason, one.value) for one in found)
        append(session, [_entry(reveal, found, at, is_refused=is_repeated)])
    if is_repeated:
        raise InvalidInputError(
            "The reason repeats a personal value, and reasons are kept for ever. Write the number"
            " of a case instead.",
            path="reason",
        )
    return found


class StoredOriginals:
    """The identifiers that are kept, for those who must send them on: see ``kernel.ports``."""

    def __init__(self, engine: Engine, secrets: Secrets) -> None:
        self._engine = engine
        self._secrets = secrets

    def originals(self, subject_keys: Sequence[str]) -> Mapping[str, ports.Original]:
        """Return what pseudonyms stand for; one that is not kept is left out.

        Raises:
            UnavailableError: the state store cannot be read.
            ConflictError: one is sealed under another master key.
        """
        with session_of(self._engine) as session:
            return {
                key: ports.Original(kind, _opened(self._secrets, key, kind, sealed))
                for key, kind, sealed in store.identifiers(session, subject_keys)
            }


def _entry(reveal: Reveal, found: Sequence[Original], at: datetime, *, is_refused: bool) -> Entry:
    particulars = {
        "by": reveal.by,
        "reason": None if is_refused else reveal.reason,
        "asked": reveal.subject_key,
        "subjects": [] if is_refused else [one.subject_key for one in found],
    }
    return Entry("subject.reveal_refused" if is_refused else "subject.reveal", at, particulars)


def _opened(secrets: Secrets, key: str, subject_type: str, sealed: bytes) -> str:
    value = open_sealed(secrets.identifier_key, key, subject_type, sealed)
    if value is None:
        raise ConflictError(
            "An identifier cannot be opened: it was sealed under another master key, or changed."
            " Look for the master key that this store was written with."
        )
    return value
