"""Persons as what links make of identifiers: the connected components of a graph.

A person has no number of its own. It goes by its smallest subject key, so that whoever derives the
persons of the same links, in whatever order, derives the same ones.
"""

from collections.abc import Iterable

Pair = tuple[str, str]
"""Two different subject keys, the smaller one first."""


def pair_of(one: str, other: str) -> Pair:
    """Return two subject keys in the order in which a pair is kept."""
    return (one, other) if one < other else (other, one)


class Persons:
    """Subject keys grouped into persons; a key that was never joined is a person of its own.

    Cost: next to constant for each join and each question.

    Source: Tarjan, "Efficiency of a Good But Not Linear Set Union Algorithm", JACM 22 (1975).
    """

    def __init__(self, known: Iterable[tuple[str, str]] = ()) -> None:
        self._above: dict[str, str] = {}
        for key, person in known:
            self.join(key, person)

    def join(self, one: str, other: str) -> None:
        """Say that two keys are of one person."""
        low, high = pair_of(self.person_of(one), self.person_of(other))
        if low != high:
            self._above[high] = low

    def person_of(self, key: str) -> str:
        """Return the smallest key of the person that ``key`` is of."""
        path = []
        while (above := self._above.get(key, key)) != key:
            path.append(key)
            key = above
        for passed in path:
            self._above[passed] = key
        return key
