"""Reading values again: for a reason, so many a minute, and never without an audit entry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from sqlalchemy.orm import Session

from candor.kernel.clock import Clock
from candor.kernel.database import session_of
from candor.kernel.errors import InvalidInputError, OverloadedError
from candor.kernel.metrics import Metrics
from privacy.audit.reason import repeats
from privacy.audit.store import Entry, append
from privacy.vault import store
from privacy.vault.data_keys import DataKeys
from privacy.vault.rate import admit
from privacy.vault.sealing import DataKey, is_token, parse_text
from privacy.vault.store import StoredKey

Fault = Literal["malformed", "unknown", "destroyed", "mismatch"]
_DIGEST_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Sought:
    """A token, or an encrypted text with the field where it stands.

    Whoever names the person as well learns nothing if the text was another's.
    """

    text: str
    field: str = ""
    subject_key: str | None = None


@dataclass(frozen=True, slots=True)
class Revealed:
    """What a text stands for, or why nobody can tell; ``subject_key`` is empty if nobody's."""

    value: str | None = field(repr=False)
    fault: Fault | None = None
    subject_key: str = ""


class Reveals:
    """Reveals to whoever may. Safe to share between threads."""

    def __init__(self, keys: DataKeys, per_minute: int, clock: Clock, metrics: Metrics) -> None:
        self._keys = keys
        self._per_minute = per_minute
        self._clock = clock
        self._metrics = metrics

    def reveal(
        self, sought: Sequence[Sought], *, by: str, reason: str, key_id: str = ""
    ) -> list[Revealed]:
        """Return what each text stands for, in their order; the entry in the audit log is written.

        The allowance is that of the key, for two may have one name; of ``by`` if there is no key.

        A destruction happens before or after it, never while it lasts.

        Raises:
            OverloadedError: ``by`` has revealed as much as it may for now.
            InvalidInputError: the reason repeats one of the values; it is not kept, but the attempt
                is, or reasons could be used to guess values unseen.
            UnavailableError: the store, or what protects the keys, cannot be had.
        """
        self._keys.turns.catch_up()
        with session_of(self._keys.engine) as session:
            store.hold_turn(session)
            self._take_allowance(session, key_id or by, len(sought))
            found = _Opening(self._keys, session, sought).revealed()
            is_repeated = any(one.value is not None and repeats(reason, one.value) for one in found)
            told = _Told("vault.reveal", by, key_id, reason)
            refused = _Told("vault.reveal_refused", by, key_id, None)
            append(session, [self._entry(sought, found, refused if is_repeated else told)])
        if is_repeated:
            self._metrics.vault.reveals.labels("refused").inc(len(sought))
            raise InvalidInputError(
                "The reason repeats a personal value, and reasons are kept for ever. Write the"
                " number of a case instead.",
                path="reason",
            )
        for one in found:
            self._metrics.vault.reveals.labels(one.fault or "revealed").inc()
        return found

    def _take_allowance(self, session: Session, who: str, values: int) -> None:
        now = self._clock()
        admission = admit(store.reveals_due(session, who), now, values, self._per_minute)
        if admission.wait is not None:
            self._metrics.vault.reveals.labels("too_many").inc(values)
            raise OverloadedError(
                f"This key may reveal {self._per_minute} values a minute. Try again later, or ask"
                " for fewer at once.",
                retry_after=admission.wait,
                resets_at=now + admission.wait,
            )
        store.keep_reveals_due(session, who, admission.due)

    def _entry(self, sought: Sequence[Sought], found: Sequence[Revealed], told: "_Told") -> Entry:
        shown = [one for one in found if one.fault is None] if told.reason is not None else []
        texts = {sha256(one.text.encode()).hexdigest()[:_DIGEST_DIGITS] for one in sought}
        particulars = {
            "by": told.by,
            "key": told.key_id or None,
            "reason": told.reason,
            "asked": len(sought),
            "revealed": len(shown),
            "subjects": sorted({one.subject_key for one in shown if one.subject_key}),
            "texts": sorted(texts),
        }
        return Entry(told.kind, self._clock(), particulars)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the audit log is told of an attempt; without a reason it revealed nothing."""

    kind: str
    by: str
    key_id: str
    reason: str | None


class _Opening:
    """One request, with what the store has of it."""

    def __init__(self, keys: DataKeys, session: Session, sought: Sequence[Sought]) -> None:
        self._sought = sought
        parsed = [parse_text(one.text) for one in sought]
        tokens = {one.text for one in sought if is_token(one.text)}
        self._values = store.find_values(session, tokens)
        ids = {one.key_id for one in parsed if one is not None}
        ids |= {value.key_id for values in self._values.values() for value in values}
        self._stored: Mapping[str, StoredKey] = store.find_keys(session, ids)
        self._keys: dict[str, DataKey] = {
            key.id: key for key in keys.open(session, list(self._stored.values())).values()
        }

    def revealed(self) -> list[Revealed]:
        return [self._one(sought) for sought in self._sought]

    def _one(self, sought: Sought) -> Revealed:
        if is_token(sought.text):
            return self._of_token(sought)
        parsed = parse_text(sought.text)
        if parsed is None:
            return Revealed(None, "malformed")
        stored = self._stored.get(parsed.key_id)
        if stored is None:
            return Revealed(None, "unknown")
        if stored.wrapped is None:
            return Revealed(None, "destroyed")
        value = self._keys[stored.id].open(sought.text, sought.field)
        return _checked(value, stored.owner.subject_key, sought)

    def _of_token(self, sought: Sought) -> Revealed:
        holders = self._values.get(sought.text, [])
        if not holders:
            return Revealed(None, "unknown")
        asked = [one for one in holders if sought.subject_key in {None, one.subject_key}]
        if not asked:
            return Revealed(None, "mismatch")
        held = asked[0]
        value = self._keys[held.key_id].open_for_token(held.sealed, sought.text)
        return _checked(value, held.subject_key, sought)


def _checked(value: str | None, subject_key: str, sought: Sought) -> Revealed:
    if value is None or sought.subject_key not in {None, subject_key}:
        return Revealed(None, "mismatch")
    return Revealed(value, None, subject_key)
