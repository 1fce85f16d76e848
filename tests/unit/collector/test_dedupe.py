from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.dedupe import IdentityWindow
from tests.support.stores import NOON

WINDOW = timedelta(hours=8)
NAMES = st.lists(st.sampled_from("abcdefgh"), max_size=8)


def test_what_is_claimed_is_not_yet_remembered() -> None:
    window = IdentityWindow(WINDOW)
    window.claim(["a"])
    assert len(window) == 0


def test_a_twin_waits_for_the_fate_of_the_first() -> None:
    window = IdentityWindow(WINDOW)
    first, twin = window.claim(["a"]), window.claim(["a", "b"])
    assert (twin.fresh, twin.duplicates, twin.earlier) == ([1], 1, [first.fate])
    window.remember(first, NOON)
    assert first.fate.result() is None


def test_a_twin_hears_of_a_failed_write_and_the_identity_is_free_again() -> None:
    window = IdentityWindow(WINDOW)
    first, twin = window.claim(["a"]), window.claim(["a"])
    window.release(first, OSError("disk"))
    with pytest.raises(OSError, match="disk"):
        twin.earlier[0].result()
    assert window.claim(["a"]).fresh == [0]


def test_a_repetition_inside_a_request_is_a_duplicate() -> None:
    claim = IdentityWindow(WINDOW).claim(["a", "b", "a"])
    assert (claim.fresh, claim.duplicates) == ([0, 1], 1)


def test_restored_identities_are_known() -> None:
    window = IdentityWindow(WINDOW)
    window.restore(["a"], NOON)
    assert window.claim(["a", "b"]).duplicates == 1


def test_an_identity_is_known_for_a_window_and_forgotten_soon_after() -> None:
    window = IdentityWindow(WINDOW)
    window.remember(window.claim(["a"]), NOON)
    window.restore(["x"], NOON + WINDOW)
    assert window.claim(["a"]).duplicates == 1
    window.restore(["y"], NOON + WINDOW * 9 / 8)
    assert window.claim(["a"]).duplicates == 0


def test_the_parts_of_the_window_join_and_each_fills_a_bucket_of_its_own() -> None:
    window = IdentityWindow(WINDOW)
    parts = list(window.parts(NOON))
    assert (parts[0][0], parts[-1][1]) == (NOON - WINDOW, NOON)
    assert [until for _, until in parts[:-1]] == [since for since, _ in parts[1:]]
    for number, (_, until) in enumerate(parts):
        window.restore([str(number)], until)
    assert [len(bucket) for _, bucket in window._buckets] == [1] * len(parts)


def test_a_text_and_the_same_bytes_are_two_identities() -> None:
    window = IdentityWindow(WINDOW)
    window.restore(["a"], NOON)
    assert window.claim([b"a", "a", b"a"]).fresh == [0]


@given(st.lists(st.text(max_size=4), unique=True), st.data())
def test_identities_are_told_apart_whatever_their_ends(
    names: list[str], data: st.DataObject
) -> None:
    window = IdentityWindow(WINDOW)
    first = data.draw(st.lists(st.sampled_from(names), unique=True) if names else st.just([]))
    window.remember(window.claim(first), NOON)
    fresh = window.claim([*names, *(name + "2" for name in names)]).fresh
    told = [*names, *(name + "2" for name in names)]
    expected = [n for n, name in enumerate(told) if name not in {*first, *told[:n]}]
    assert fresh == expected


@given(st.lists(st.tuples(NAMES, st.sampled_from(["remember", "release"])), max_size=20))
def test_it_agrees_with_a_plain_set(requests: list[tuple[list[str], str]]) -> None:
    window, seen = IdentityWindow(WINDOW), set[str]()
    for names, fate in requests:
        claim = window.claim(names)
        expected = [n for n, name in enumerate(names) if name not in seen | set(names[:n])]
        assert claim.fresh == expected
        assert claim.duplicates == len(names) - len(expected)
        if fate == "remember":
            window.remember(claim, NOON)
            seen |= set(names)
        else:
            window.release(claim, OSError())


def test_what_is_withdrawn_from_a_claim_is_new_for_the_next_sender() -> None:
    window = IdentityWindow(WINDOW)
    window.restore(["known"], NOON)
    claim = window.claim(["a", "known", "b", "c"])
    window.withdraw(claim, {2})
    assert claim.fresh == [0, 3]
    window.remember(claim, NOON)
    assert window.claim(["a", "b", "c"]).fresh == [1]
