"""Merkle trees and signed heads, against the recursive definitions of RFC 6962."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.audit import tree
from privacy.audit.head import is_genuine, public_key, sign

SIZES = st.integers(0, 70)
SEED = bytes(range(32))
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def contents(size: int) -> list[bytes]:
    return [f"entry {number}".encode() for number in range(size)]


def defined_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\1" + defined_root(leaves[:k]) + defined_root(leaves[k:])).digest()


def grown(size: int) -> dict[tuple[int, int], bytes]:
    stored: dict[tuple[int, int], bytes] = {}
    for index, content in enumerate(contents(size)):
        leaf = tree.leaf_hash(content)
        for level, place, own in tree.completed(index, leaf, lambda a, b: stored[a, b]):
            stored[level, place] = own
    return stored


@given(SIZES)
def test_the_root_is_the_one_that_the_standard_defines(size: int) -> None:
    stored = grown(70)
    assert tree.root(size, lambda a, b: stored[a, b]) == defined_root(contents(size))


@given(st.data())
def test_every_entry_of_every_size_is_proved_and_no_other_passes_for_it(
    data: st.DataObject,
) -> None:
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    stored = grown(size)
    proof = tree.inclusion(index, size, lambda a, b: stored[a, b])
    root, leaf = defined_root(contents(size)), stored[0, index]
    assert tree.includes(index, leaf, size, proof, root)
    assert not tree.includes(index, tree.leaf_hash(b"another"), size, proof, root)
    other = data.draw(st.integers(-1, size))
    assert tree.includes(other, leaf, size, proof, root) is (other == index)
    assert not tree.includes(index, leaf, size, [*proof, leaf], root)
    if proof:
        assert not tree.includes(index, leaf, size, proof[:-1], root)
        changed = data.draw(st.integers(0, len(proof) - 1))
        broken = [*proof[:changed], bytes(32), *proof[changed + 1 :]]
        assert not tree.includes(index, leaf, size, broken, root)


@given(st.data())
def test_a_log_that_only_grew_is_proved_and_one_that_changed_is_not(data: st.DataObject) -> None:
    second = data.draw(st.integers(1, 70))
    first = data.draw(st.integers(1, second))
    stored = grown(second)
    proof = tree.consistency(first, second, lambda a, b: stored[a, b])
    old, new = defined_root(contents(first)), defined_root(contents(second))
    assert tree.extends(first, old, second, new, proof)
    rewritten = defined_root([b"changed", *contents(second)[1:]])
    assert not tree.extends(first, old, second, rewritten, proof)
    if first < second:
        assert not tree.extends(first, defined_root([b"x"] * first), second, new, proof)
        assert not tree.extends(first, old, second, new, proof[:-1])
        assert not tree.extends(first, old, second, new, [*proof, bytes(32)])


def test_sizes_that_make_no_sense_prove_nothing() -> None:
    assert not tree.extends(0, tree.EMPTY_ROOT, 1, bytes(32), [])
    assert not tree.extends(2, bytes(32), 1, bytes(32), [])
    assert not tree.extends(3, bytes(32), 5, bytes(32), [])


def test_a_head_is_bound_to_its_size_its_root_and_its_instant() -> None:
    head = sign(3, bytes(32), NOON, SEED)
    public = public_key(SEED)
    assert is_genuine(head, public)
    assert not is_genuine(head, public_key(bytes(32)))
    assert not is_genuine(head, b"no key")
    changes = (
        {"tree_size": 4},
        {"root_hash": bytes([1] * 32)},
        {"signed_at": datetime(2026, 11, 22, 13, tzinfo=UTC)},
    )
    for change in changes:
        fields = {name: getattr(head, name) for name in type(head).__slots__} | change
        assert not is_genuine(type(head)(**fields), public)


@pytest.mark.parametrize(("size", "reads"), [(0, 0), (1, 1), (3, 2), (4, 0), (7, 3)])
def test_an_append_reads_as_many_hashes_as_it_completes(size: int, reads: int) -> None:
    stored, asked = grown(size), []

    def nodes(level: int, place: int) -> bytes:
        asked.append((level, place))
        return stored[level, place]

    list(tree.completed(size, bytes(32), nodes))
    assert len(asked) == reads
