"""The log as a whole: its heads are signed, its proofs made, and all of it checked again."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from candor.kernel.clock import Clock
from candor.kernel.errors import InvalidInputError
from privacy.audit import store, tree
from privacy.audit.head import Head, is_genuine, public_key, sign


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That an entry is in the log of a size: checkable with the head of that size alone."""

    index: int
    content: str
    tree_size: int
    proof: tuple[bytes, ...]
    head: Head | None


@dataclass(frozen=True, slots=True)
class Consistency:
    """That the log of one size grew into that of another and nothing in it was changed."""

    first: int
    second: int
    proof: tuple[bytes, ...]


def sign_head(session: Session, seed: bytes, clock: Clock) -> Head:
    """Return the signed head of the log as it is, signed now unless that was done before."""
    size = store.size_of(session)
    known = store.head_of(session, size)
    if known is not None:
        return known
    head = sign(size, tree.root(size, store.stored_nodes(session)), clock(), seed)
    store.keep_head(session, head)
    return head


def prove_inclusion(session: Session, index: int, tree_size: int | None = None) -> Inclusion:
    """Return the proof that an entry is in the log, of the newest signed size unless one is given.

    Raises:
        NotFoundError: there is no such entry.
        InvalidInputError: the log had no such size, or not this entry then.
    """
    content = store.content_at(session, index)
    newest = store.head_of(session)
    signed = newest.tree_size if newest is not None and newest.tree_size > index else None
    size = tree_size or signed or store.size_of(session)
    if not index < size <= store.size_of(session):
        raise InvalidInputError("The log of that size does not hold this entry.", path="tree_size")
    proof = tree.inclusion(index, size, store.stored_nodes(session))
    return Inclusion(index, content, size, tuple(proof), store.head_of(session, size))


def prove_consistency(session: Session, first: int, second: int) -> Consistency:
    """Return the proof that the log only grew between two sizes.

    Raises:
        InvalidInputError: the log never had these sizes in this order.
    """
    if not 0 < first <= second <= store.size_of(session):
        raise InvalidInputError("Give two sizes that the log had, the smaller first.", path="first")
    proof = tree.consistency(first, second, store.stored_nodes(session))
    return Consistency(first, second, tuple(proof))


@dataclass(frozen=True, slots=True)
class Examined:
    """How much of the log was read, its root as computed from that, and what does not hold."""

    entries: int
    root_hash: bytes
    faults: list[str]


def faults(session: Session, seed: bytes) -> list[str]:
    """Return what does not hold in the whole log, a sentence each; nothing when all does."""
    return examine(session, seed).faults


def examine(session: Session, seed: bytes) -> Examined:
    """Return what was read of the whole log, and what of it does not hold.

    Every entry is hashed again, and every head signed so far must be the root of as many entries
    and bear our signature: so whoever changes, removes or moves an entry would have to sign anew.

    Cost: one pass over the log, with a hash and on average one more for each entry.
    """
    found: list[str] = []
    waiting = {head.tree_size: head for head in store.heads(session)}
    public = public_key(seed)
    found += [
        f"The head of {size} entries does not bear our signature."
        for size, head in waiting.items()
        if not is_genuine(head, public)
    ]
    peaks: dict[tuple[int, int], bytes] = {}

    def nodes(level: int, place: int) -> bytes:
        return peaks[level, place]

    count = 0
    _check_head(waiting, 0, nodes, found)
    for index, content in store.contents(session):
        if index != count:
            found.append(f"Entry {count} is missing.")
            return Examined(count, tree.root(count, nodes), found)
        for level, place, own in tree.completed(index, tree.leaf_hash(content.encode()), nodes):
            peaks[level, place] = own
            if level:
                peaks.pop((level - 1, place * 2))
                peaks.pop((level - 1, place * 2 + 1))
        count += 1
        _check_head(waiting, count, nodes, found)
    if count != store.size_of(session):
        found.append(f"{store.size_of(session)} entries were written, and {count} are there.")
    found += [f"The log was signed at {size} entries, which are not there." for size in waiting]
    return Examined(count, tree.root(count, nodes), found)


def _check_head(waiting: dict[int, Head], count: int, nodes: tree.Nodes, found: list[str]) -> None:
    head = waiting.pop(count, None)
    if head is not None and tree.root(count, nodes) != head.root_hash:
        found.append(f"The first {count} entries are not those that were signed.")
