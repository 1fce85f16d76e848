"""A bounded memory of what was seen lately: the two youngest generations are kept.

Cheaper than an order of use for each entry, and as good: what is asked for again is carried over
into the young generation, what is not is forgotten with the old one. It lives in this process only.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """At most ``2 * size`` entries, all of them of lately."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def __len__(self) -> int:
        """Return how many entries are kept, those counted twice that are in both generations."""
        return len(self._young) + len(self._old)

    def find(self, key: Key) -> Value | None:
        """Return what is kept under a key, if anything is."""
        value = self._young.get(key)
        if value is None and (value := self._old.get(key)) is not None:
            self.keep(key, value)
        return value

    def keep(self, key: Key, value: Value) -> None:
        """Keep a value; the oldest generation goes when the youngest is full."""
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self._young, self._old = {}, {}
