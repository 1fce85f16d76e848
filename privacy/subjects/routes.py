"""The subject index under /api/v1: look at the links of a person, take them back, make them."""

from typing import Annotated, Any

from fastapi import APIRouter

from candor.kernel.http import ServicesDep, SessionDep, requires
from candor.kernel.ports import Identifier, Provenance
from candor.kernel.services import Services
from privacy.subjects.index import StoredSubjectIndex
from privacy.subjects.originals import Reveal, keep_originals, reveal_originals
from privacy.subjects.schemas import (
    LinkIn,
    RevealIn,
    SubjectIn,
    UnlinkIn,
    person_document,
    reveal_document,
)

router = APIRouter(prefix="/api/v1/subjects", tags=["subjects"])

Decider = Annotated[str, requires("consent:write")]
Reader = Annotated[str, requires("pii:reveal")]


@router.post("/links", dependencies=[requires("consent:read")])
def show_links(services: ServicesDep, subject: SubjectIn) -> dict[str, Any]:
    """Return the identifiers linked with one, as pseudonyms, and the record of who said so.

    An identifier that nobody ever named is answered like one that was never linked.
    """
    return _answer(services, _identifier(services, subject))


@router.post("/unlink")
def unlink(services: ServicesDep, subject: UnlinkIn, decider: Decider) -> dict[str, Any]:
    """Take an identifier from its person, or only its link to ``other``; telemetry cannot undo it.

    What only that held together falls apart; the record keeps the link and its end.
    """
    identifier = _identifier(services, subject)
    other = _identifier(services, subject.other) if subject.other else None
    decision = _decision(services, decider, "unlink")
    services.subjects.unlink(identifier, decision, other)
    return _answer(services, identifier)


@router.post("/link")
def link(
    services: ServicesDep, session: SessionDep, body: LinkIn, decider: Decider
) -> dict[str, Any]:
    """Say that identifiers are of one person; this undoes an unlinking. They are kept sealed."""
    identifiers = [_identifier(services, one) for one in body.subjects]
    services.subjects.link(identifiers, _decision(services, decider, "link"))
    said = [(one.type, one.value) for one in body.subjects]
    keep_originals(session, services.secrets, said, services.clock())
    return _answer(services, identifiers[0])


@router.post("/reveal")
def reveal(services: ServicesDep, body: RevealIn, reader: Reader) -> dict[str, Any]:
    """Return the identifiers of a person in clear; who read them and why is in the audit log."""
    asked = Reveal(body.subject_key, body.reason, reader, body.linked)
    originals = reveal_originals(services.engine, services.secrets, asked, services.clock())
    return reveal_document(originals)


def _answer(services: Services, identifier: Identifier) -> dict[str, Any]:
    person = StoredSubjectIndex(services.engine).person(identifier)
    return person_document(identifier, person)


def _identifier(services: Services, subject: SubjectIn) -> Identifier:
    key = services.secrets.subject_key(subject.type, subject.value)
    return Identifier(subject.type, key)


def _decision(services: Services, decider: str, call: str) -> Provenance:
    now = services.clock()
    return Provenance(decider, "api", call, now, now, decided=True)
