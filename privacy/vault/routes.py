"""Revealing what tokens and encrypted texts stand for, under /api/v1/pii."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from candor.kernel.http import Holder, holding
from candor.kernel.problems import PROBLEM_TYPE
from privacy.vault.assembly import Desk
from privacy.vault.schemas import RevealBody, reveal_document

router = APIRouter(prefix="/api/v1/pii", tags=["pii"])


def desk_of(request: Request) -> Desk:
    """Return the vault's desk of the application that this request reached."""
    desk: Desk = request.app.state.desk
    return desk


_TOO_MANY: dict[int | str, dict[str, Any]] = {
    429: {
        "description": "Too Many Requests",
        "headers": {"Retry-After": {"schema": {"type": "integer"}}},
        "content": {PROBLEM_TYPE: {"schema": {"type": "object"}}},
    }
}


@router.post("/detokenize", responses=_TOO_MANY)
def detokenize(
    body: RevealBody,
    desk: Annotated[Desk, Depends(desk_of)],
    by: Annotated[Holder, holding("pii:reveal")],
) -> dict[str, Any]:
    """Return what tokens and encrypted texts stand for; the audit log keeps who asked, and why.

    An encrypted text opens for the field where it stands. Each key may reveal so many values a
    minute (``CANDOR_VAULT__REVEALS_PER_MINUTE``).
    """
    sought = body.sought()
    found = desk.reveals.reveal(sought, by=by.name, key_id=by.key_id, reason=body.reason)
    return reveal_document(sought, found)
