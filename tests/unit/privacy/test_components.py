import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from privacy.subjects.components import Persons, pair_of

KEYS = st.sampled_from("abcdefghij")
LINKS = st.lists(st.tuples(KEYS, KEYS))


def reachable(key: str, links: list[tuple[str, str]]) -> set[str]:
    seen = {key}
    for _ in links:
        seen |= {end for link in links if seen & set(link) for end in link}
    return seen


def joined(links: list[tuple[str, str]]) -> Persons:
    persons = Persons()
    for one, other in links:
        persons.join(one, other)
    return persons


@given(LINKS, KEYS, KEYS)
def test_two_keys_are_one_person_when_links_lead_from_one_to_the_other(
    links: list[tuple[str, str]], one: str, other: str
) -> None:
    persons = joined(links)
    same = persons.person_of(one) == persons.person_of(other)
    assert same == (other in reachable(one, links))


@given(LINKS, KEYS)
def test_a_person_goes_by_its_smallest_key(links: list[tuple[str, str]], key: str) -> None:
    assert joined(links).person_of(key) == min(reachable(key, links))


@given(LINKS, st.randoms(use_true_random=False))
def test_persons_do_not_depend_on_the_order_of_the_links(
    links: list[tuple[str, str]], chance: random.Random
) -> None:
    before = joined(links)
    shuffled = [(other, one) for one, other in links]
    chance.shuffle(shuffled)
    after = joined(shuffled)
    assert [before.person_of(key) for key in "abcdefghij"] == [
        after.person_of(key) for key in "abcdefghij"
    ]


def test_a_long_chain_is_one_person_and_needs_no_recursion() -> None:
    keys = [f"{number:05}" for number in range(5000, 0, -1)]
    assert joined(list(pairwise(keys))).person_of(keys[0]) == "00001"


@given(KEYS, KEYS)
def test_a_pair_has_one_order(one: str, other: str) -> None:
    assert pair_of(one, other) == pair_of(other, one)
