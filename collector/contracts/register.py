"""The contracts of one process: compiled once, and asked for every event.

A version that another process registers is known here about a second later at most: names that are
not known are looked up in the state store, at most once a second for all of them together, so that
no sender can make every request a query. Between two look-ups they count as not registered; while
the store cannot be read, that is the answer for as long.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from threading import Lock

import msgspec
from sqlalchemy import Engine

from candor.kernel.clock import Clock
from candor.kernel.database import session_of
from candor.kernel.errors import UnavailableError
from candor.kernel.logging import log
from candor.kernel.ports import EntryTerms, Refusal
from candor.kernel.settings import ContractSettings, UnknownSchema
from collector.contracts.compilation import Check, compile_schema
from collector.contracts.contract import SchemaVer
from collector.contracts.store import find_contract, references
from collector.event import Batch, Event

_BELIEVED = timedelta(seconds=1)
_NATIVE = "native"
_NO_TERMS: Mapping[str, EntryTerms] = {}
_UNKNOWN = Refusal("unknown_schema", "No such schema version is registered.", "schema")
_UNNAMED = Refusal("unknown_schema", "An event must name its schema and version.", "schema")


class ContractRegister:
    """Tells which events break their contract. Safe to share between threads."""

    def __init__(self, engine: Engine, settings: ContractSettings, clock: Clock) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._checks: dict[str, Check] = {}
        self._terms: dict[str, EntryTerms] = {}
        self._looked_at = clock() - _BELIEVED
        self._fault: UnavailableError | None = None
        self._guard = Lock()

    def refusals(self, batch: Batch) -> Mapping[int, Refusal]:
        """Return a refusal for the position of each event that breaks its contract.

        An event is checked in the native form: as it was sent at the native door, and as it would
        be stored at all others, where the pseudonym stands in the place of the person.

        Raises:
            UnavailableError: the state store cannot say whether a schema is registered, and the
                source's policy does not let events of unknown schemas in.
        """
        schemas = {event.schema for event in batch.events}
        lenient = self.policy(batch.source) == "accept"
        self._learn(schemas, lenient=lenient)
        checks = self._checks
        if schemas.isdisjoint(checks) and lenient:
            return {}
        refusals: dict[int, Refusal] = {}
        is_native = batch.door == _NATIVE and bool(batch.items)
        for position, event in enumerate(batch.events):
            check = checks.get(event.schema)
            if check is None:
                fault = None if lenient else self._unknown(event)
            elif is_native:
                fault = check.fault(batch.items[batch.indices[position]])
            else:
                fault = check.fault(native_document(event))
            if fault is not None:
                refusals[position] = fault
        return refusals

    def entry_terms(self, events: Sequence[Event]) -> Mapping[str, EntryTerms]:
        """Return the terms of those schemas of the events that name a purpose; most often none.

        Asked after ``refusals``, which has looked up every schema that can be known.
        """
        if not self._terms:
            return _NO_TERMS
        schemas = {event.schema for event in events}
        return {one: self._terms[one] for one in schemas if one in self._terms}

    def policy(self, source: str) -> UnknownSchema:
        """Return what becomes of a source's events whose schema is not registered."""
        return self._settings.sources.get(source, self._settings.unknown_schema)

    def keeps(self, refusal: Refusal, source: str) -> bool:
        """Whether an event that was refused is to be kept in quarantine."""
        return refusal.code != "unknown_schema" or self.policy(source) != "reject"

    def refresh(self) -> None:
        """Know at once what is registered now; called when this process registered something.

        Raises:
            UnavailableError: the state store cannot be read.
        """
        with session_of(self._engine) as session:
            for name, version in references(session):
                reference = f"{name}/{version}"
                if reference not in self._checks:
                    found = find_contract(session, name, SchemaVer.parse(version))
                    contract = found.contract
                    if contract.purposes:
                        strips = contract.without_consent == "strip"
                        self._terms[reference] = EntryTerms(contract.purposes, strips)
                    self._checks[reference] = compile_schema(contract.schema)

    def _learn(self, schemas: set[str], *, lenient: bool) -> None:
        """Look unknown names up, unless that was done, for whatever names, a moment ago."""
        if not self._unknown_of(schemas):
            return
        with self._guard:
            if not timedelta(0) <= self._clock() - self._looked_at < _BELIEVED:
                self._look()
            fault = self._fault
        if fault is not None and not lenient and self._unknown_of(schemas):
            raise UnavailableError(fault.detail)

    def _look(self) -> None:
        """Read what is registered; the time counts from the end, for a store may fail slowly."""
        self._fault = None
        try:
            self.refresh()
        except UnavailableError as error:
            self._fault = error
            log().warning("contracts cannot be read; those known so far are in force")
        finally:
            self._looked_at = self._clock()

    def _unknown_of(self, schemas: set[str]) -> set[str]:
        return schemas - self._checks.keys() - {""}

    def _unknown(self, event: Event) -> Refusal | None:
        if event.schema:
            return _UNKNOWN
        return _UNNAMED if self._settings.schema_required else None


def native_document(event: Event) -> bytes:
    """Return an event in the native form, with the pseudonym in the place of the person."""
    nested: dict[str, object] = {}
    if event.subject_key:
        nested["subject"] = {"type": event.subject_type, "value": event.subject_key}
    if event.experiment:
        nested["experiment"] = {"key": event.experiment, "variant": event.variant}
    if event.amount is not None:
        nested["value"] = {"amount": event.amount, "currency": event.currency}
    flat = {
        "id": event.id,
        "name": event.name,
        "schema": event.schema,
        "time": event.time,
        "journey": event.journey,
        "instance": event.instance,
        "step": event.step,
        "outcome": event.outcome,
        "channel": event.channel,
        "service": event.service,
        "duration_ms": event.duration_ms,
        "error_code": event.error_code,
    }
    present = {name: value for name, value in flat.items() if value not in ("", None)}
    attributes = {"attributes": event.attributes} if event.attributes else {}
    return msgspec.json.encode(present | nested | attributes)
