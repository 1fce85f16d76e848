"""PII protection under /api/v1: scans, policies, and what was found."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response

from candor.kernel.http import ServicesDep, SessionDep, acting, requires
from privacy.pii import rescan_requests as rescans
from privacy.pii import schemas, store
from privacy.pii.assembly import Pii
from privacy.pii.register import check_policy, exempted, find_policy, put_policy
from privacy.pii.trial import Trial

router = APIRouter(prefix="/api/v1", tags=["pii"])

Author = Annotated[str, acting("admin")]
DryRun = Annotated[bool, Query(description="Check it, and keep nothing")]
Limit = Annotated[int, Query(ge=1, le=1000)]


def pii_of(request: Request) -> Pii:
    """Return PII protection of the application that this request reached."""
    pii: Pii = request.app.state.pii
    return pii


PiiDep = Annotated[Pii, Depends(pii_of)]


@router.post("/pii/scan", dependencies=[requires("pii:read")])
def scan(body: schemas.ScanBody, session: SessionDep, pii: PiiDep) -> Response:
    """Find personal data in a text or payload, and show what a policy makes of it.

    With ``entities`` exactly those are looked for; nothing is stored or counted.
    """
    policy = body.adapted(find_policy(session, body.policy))
    pii.pool.check(policy.entities, "entities")
    is_text = body.text is not None
    value = body.text if is_text else body.payload
    found = _trial(pii).scan(policy, value, literal=is_text)
    return Response(schemas.encoded(schemas.scan_document(found)), media_type="application/json")


@router.get("/pii/policies/{name}", dependencies=[requires("pii:read")])
def show_policy(name: str, session: SessionDep) -> dict[str, Any]:
    """Return a policy as it stands; ``default`` is there from the beginning."""
    return schemas.policy_document(find_policy(session, name))


@router.put("/pii/policies/{name}", responses={201: {"description": "A new version"}})
def put(  # noqa: PLR0913, PLR0917 - path, body and dependencies of one request
    name: str,
    body: schemas.PolicyBody,
    services: ServicesDep,
    session: SessionDep,
    pii: PiiDep,
    author: Author,
    *,
    dry_run: DryRun = False,
) -> JSONResponse:
    """Put the next version of a policy; it is in force everywhere about a second later."""
    policy = body.policy(schemas.name_of(name))
    check_policy(policy, pii.pool)
    if dry_run:
        return JSONResponse(schemas.policy_document(policy))
    before = store.latest_version(session, name)
    made = put_policy(session, policy, author, services.clock())
    pii.policies.refresh()
    return JSONResponse(schemas.policy_document(made), 201 if made.version > before else 200)


@router.post("/pii/policies/{name}/test", dependencies=[requires("pii:read")])
def try_policy(name: str, body: schemas.TestBody, session: SessionDep, pii: PiiDep) -> Response:
    """Show what a policy would make of payloads, and how that differs from what stands."""
    before = find_policy(session, name)
    after = before if body.policy is None else body.policy.policy(name)
    pii.pool.check(after.entities, "policy.entities")
    results = _trial(pii).compare(before, after, body.payloads)
    return Response(schemas.encoded({"results": results}), media_type="application/json")


@router.get("/pii/findings", dependencies=[requires("pii:read")])
def list_findings(
    session: SessionDep,
    pii: PiiDep,
    state: store.State | None = None,
    source: Annotated[str | None, Query(max_length=200)] = None,
    limit: Limit = 100,
) -> list[dict[str, Any]]:
    """Return what was found where, the latest first: one entry for a source, field and entity."""
    pii.ledger.flush()
    return store.find_findings(session, state, source, limit)


@router.post("/pii/findings/{finding_id}/triage")
def triage(  # noqa: PLR0913, PLR0917 - path, body and dependencies of one request
    finding_id: str,
    body: schemas.TriageBody,
    services: ServicesDep,
    session: SessionDep,
    pii: PiiDep,
    author: Author,
) -> dict[str, Any]:
    """Accept a finding as personal data, or let it pass from now on by a rule of its policy."""
    now = services.clock()
    state: store.State = "accepted" if body.decision == "accept" else "false_positive"
    found = store.triage_finding(session, finding_id, state, body.reason, author, now)
    if state == "accepted":
        pii.data_map.add_field(found["source"], found["path"], found["entity"], now)
    else:
        policy = find_policy(session, found["policy"])
        rule = (found["entity"], found["path"], found["source"])
        put_policy(session, exempted(policy, *rule), author, now)
        pii.policies.refresh()
    return dict(found)


@router.post("/pii/rescans", status_code=202)
def request_rescan(
    body: schemas.RescanBody, services: ServicesDep, session: SessionDep, author: Author
) -> dict[str, Any]:
    """Ask for stored telemetry to be scanned by the policy in force; a job begins within seconds.

    With ``apply`` and a ``reason`` its rows are rewritten as the policy wants; without, the answer
    of ``GET`` tells how many would be.
    """
    return rescans.request_rescan(
        session, body.wanted(), reason=body.reason, author=author, at=services.clock()
    )


@router.get("/pii/rescans", dependencies=[requires("pii:read")])
def list_rescans(session: SessionDep, limit: Limit = 100) -> list[dict[str, Any]]:
    """Return re-scans, the latest first."""
    return rescans.list_rescans(session, limit)


@router.get("/pii/rescans/{rescan_id}", dependencies=[requires("pii:read")])
def show_rescan(rescan_id: str, session: SessionDep) -> dict[str, Any]:
    """Return a re-scan: its state, how far it is, and where it found what, table by table."""
    return rescans.find_rescan(session, rescan_id)


def _trial(pii: Pii) -> Trial:
    return Trial(pii.pool, pii.transformer.for_trials(), pii.model)
