"""Heads and proofs as documents, and back: what a person can check without us."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from candor.kernel.errors import InvalidInputError
from privacy.audit import tree
from privacy.audit.head import Head, is_genuine, key_id
from privacy.audit.log import Consistency, Inclusion

_HASH = Field(pattern=r"^[0-9a-f]{64}$")


class HeadDocument(BaseModel):
    """A signed head; hashes and signature are hexadecimal."""

    model_config = ConfigDict(extra="ignore")

    tree_size: int = Field(ge=0)
    root_hash: str = _HASH
    signed_at: datetime
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")
    key_id: str

    def head(self) -> Head:
        """Return the head that it says."""
        return Head(
            self.tree_size,
            bytes.fromhex(self.root_hash),
            self.signed_at,
            bytes.fromhex(self.signature),
            self.key_id,
        )


class ProofDocument(BaseModel):
    """An entry, where it stands, and the proof of it; what a receipt or certificate carries."""

    model_config = ConfigDict(extra="ignore")

    index: int = Field(ge=0)
    content: str
    tree_size: int = Field(ge=1)
    proof: list[str]
    head: HeadDocument


def head_document(head: Head) -> dict[str, Any]:
    """Return a head as a document."""
    return {
        "tree_size": head.tree_size,
        "root_hash": head.root_hash.hex(),
        "signed_at": head.signed_at.isoformat(),
        "signature": head.signature.hex(),
        "key_id": head.key_id,
    }


def leaf_document(index: int, content: str) -> dict[str, Any]:
    """Return an entry, as it was hashed and as what it says."""
    return {
        "index": index,
        "leaf_hash": tree.leaf_hash(content.encode()).hex(),
        "content": content,
        "entry": json.loads(content),
    }


def inclusion_document(inclusion: Inclusion) -> dict[str, Any]:
    """Return a proof of inclusion with all that is needed to check it, beside the public key."""
    return {
        "index": inclusion.index,
        "leaf_hash": tree.leaf_hash(inclusion.content.encode()).hex(),
        "content": inclusion.content,
        "tree_size": inclusion.tree_size,
        "proof": _hexadecimal(inclusion.proof),
        "head": None if inclusion.head is None else head_document(inclusion.head),
    }


def consistency_document(consistency: Consistency) -> dict[str, Any]:
    """Return a proof of consistency."""
    return {
        "first": consistency.first,
        "second": consistency.second,
        "proof": _hexadecimal(consistency.proof),
    }


def fault_of(document: Mapping[str, Any], public: bytes) -> str | None:
    """Return why a head, or an entry with its proof, does not hold; none when it does.

    Raises:
        InvalidInputError: the document is neither.
    """
    try:
        if "proof" not in document:
            return _fault_of_head(HeadDocument.model_validate(document).head(), public)
        claimed = ProofDocument.model_validate(document)
        proof = [bytes.fromhex(one) for one in claimed.proof]
    except (ValidationError, ValueError):
        raise InvalidInputError(
            "This is neither a signed head nor an entry with its proof. Take it as"
            " GET /api/v1/audit/inclusion or /audit/head answers."
        ) from None
    head = claimed.head.head()
    if fault := _fault_of_head(head, public):
        return fault
    leaf = tree.leaf_hash(claimed.content.encode())
    size = claimed.tree_size
    if size != head.tree_size:
        return "The proof is about a log of another size than the signed head."
    if not tree.includes(claimed.index, leaf, size, proof, head.root_hash):
        return "The entry is not in the log that was signed."
    return None


def _fault_of_head(head: Head, public: bytes) -> str | None:
    if head.key_id != key_id(public):
        return "The head was signed with another key."
    return None if is_genuine(head, public) else "The signature of the head does not hold."


def _hexadecimal(hashes: Sequence[bytes]) -> list[str]:
    return [one.hex() for one in hashes]
