"""Merkle trees over a log: what its root is, and proofs that hold without the log.

A node is named by its level and its place there: level 0 are the leaves, and a node of level ``n``
stands over ``2**n`` of them. Only nodes over whole subtrees are kept; they never change again.

Source: RFC 9162, section 2.1, whose hashes are those of RFC 6962.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
Nodes = Callable[[int, int], bytes]
"""Gives the hash of the node at a level and place; it must be over a whole subtree."""


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\0" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over two others."""
    return sha256(b"\1" + left + right).digest()


def completed(index: int, leaf: bytes, nodes: Nodes) -> Iterator[tuple[int, int, bytes]]:
    """Yield level, place and hash of each node that a new leaf completes, itself first.

    Cost: as many reads of ``nodes`` as the binary form of ``index`` ends in ones.
    """
    level, place, own = 0, index, leaf
    yield level, place, own
    while place % 2:
        own = node_hash(nodes(level, place - 1), own)
        level, place = level + 1, place // 2
        yield level, place, own


def root(size: int, nodes: Nodes) -> bytes:
    """Return the root of the first ``size`` leaves."""
    return _range(0, size, nodes) if size else EMPTY_ROOT


def inclusion(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """Return the proof that a leaf is one of the first ``size``: hashes, leaf to root.

    Source: RFC 9162, section 2.1.3.1. Needs ``0 <= index < size``.
    """
    path: list[bytes] = []
    since, until = 0, size
    while until - since > 1:
        middle = since + _split(until - since)
        if index < middle:
            path.append(_range(middle, until, nodes))
            until = middle
        else:
            path.append(_range(since, middle, nodes))
            since = middle
    return path[::-1]


def consistency(first: int, second: int, nodes: Nodes) -> list[bytes]:
    """Return the proof that the first ``first`` of ``second`` leaves are what they were.

    Source: RFC 9162, section 2.1.4.1. Needs ``0 < first <= second``.
    """
    path: list[bytes] = []
    since, until, is_known = 0, second, True
    while first < until:
        middle = since + _split(until - since)
        if first <= middle:
            path.append(_range(middle, until, nodes))
            until = middle
        else:
            path.append(_range(since, middle, nodes))
            since, is_known = middle, False
    if not is_known:
        path.append(_range(since, until, nodes))
    return path[::-1]


def includes(index: int, leaf: bytes, size: int, proof: Sequence[bytes], claimed: bytes) -> bool:
    """Whether a proof shows that a leaf stands at ``index`` in the tree of that size and root.

    Source: RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    place, last, own = index, size - 1, leaf
    for hash_ in proof:
        if not last:
            return False
        if place % 2 or place == last:
            own = node_hash(hash_, own)
            while place and not place % 2:
                place, last = place // 2, last // 2
        else:
            own = node_hash(own, hash_)
        place, last = place // 2, last // 2
    return not last and own == claimed


def extends(
    first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether a proof shows that the tree of one root grew into that of the other.

    Source: RFC 9162, section 2.1.4.2.
    """
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    path = list(proof)
    if not first & (first - 1):
        path.insert(0, first_root)
    if not path:
        return False
    place, last = first - 1, second - 1
    while place % 2:
        place, last = place // 2, last // 2
    older = newer = path[0]
    for hash_ in path[1:]:
        if not last:
            return False
        if place % 2 or place == last:
            older, newer = node_hash(hash_, older), node_hash(hash_, newer)
            while place and not place % 2:
                place, last = place // 2, last // 2
        else:
            newer = node_hash(newer, hash_)
        place, last = place // 2, last // 2
    return not last and older == first_root and newer == second_root


def _split(size: int) -> int:
    """Return the largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1


def _range(since: int, until: int, nodes: Nodes) -> bytes:
    """Return the hash over leaves ``[since, until)``, a range that begins where a subtree does."""
    size = until - since
    if not size & (size - 1):
        level = size.bit_length() - 1
        return nodes(level, since >> level)
    middle = since + _split(size)
    return node_hash(_range(since, middle, nodes), _range(middle, until, nodes))
