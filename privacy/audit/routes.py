"""The audit log under /api/v1: heads, entries and proofs, all of them without personal values."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from candor.kernel.http import ServicesDep, SessionDep, requires
from privacy.audit import store
from privacy.audit.head import key_id, public_key
from privacy.audit.log import prove_consistency, prove_inclusion, sign_head
from privacy.audit.schemas import (
    consistency_document,
    head_document,
    inclusion_document,
    leaf_document,
)

_MOST = 2**62
Index = Annotated[int, Path(ge=0, le=_MOST)]
Place = Annotated[int, Query(ge=0, le=_MOST, description="The place of the entry")]
Size = Annotated[int | None, Query(ge=1, le=_MOST, description="The newest signed one if absent")]
First = Annotated[int, Query(ge=1, le=_MOST, description="The smaller size")]
Second = Annotated[int, Query(ge=1, le=_MOST, description="The larger size")]

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], dependencies=[requires("consent:read")])


@router.get("/head")
def show_head(services: ServicesDep, session: SessionDep) -> dict[str, Any]:
    """Return the newest signed head of the log; the first is signed when it is asked for."""
    head = store.head_of(session)
    return head_document(head or sign_head(session, services.secrets.audit_seed, services.clock))


@router.get("/key")
def show_key(services: ServicesDep) -> dict[str, str]:
    """Return the public key with which heads and receipts are checked."""
    public = public_key(services.secrets.audit_seed)
    return {"algorithm": "Ed25519", "public_key": public.hex(), "key_id": key_id(public)}


@router.get("/leaves/{index}")
def show_leaf(index: Index, session: SessionDep) -> dict[str, Any]:
    """Return one entry."""
    return leaf_document(index, store.content_at(session, index))


@router.get("/inclusion")
def show_inclusion(session: SessionDep, index: Place, tree_size: Size = None) -> dict[str, Any]:
    """Return an entry with the proof that it is in the log."""
    return inclusion_document(prove_inclusion(session, index, tree_size))


@router.get("/consistency")
def show_consistency(session: SessionDep, first: First, second: Second) -> dict[str, Any]:
    """Return the proof that the log only grew between two sizes."""
    return consistency_document(prove_consistency(session, first, second))
