"""Where in the ledger a subscriber is: the ledger itself is the queue."""

import re
from typing import NamedTuple

from candor.kernel.errors import InvalidInputError

_TEXT = re.compile(r"(?P<turn>[0-9]{1,15})(\.(?P<number>[0-9]{1,9}))?")
_LAST = 2**31 - 1


class Position(NamedTuple):
    """The place of an act: the turn of its transaction, and its number there."""

    turn: int
    number: int

    def __str__(self) -> str:
        return f"{self.turn}.{self.number}"

    @property
    def sequence(self) -> str:
        """The place as a text that sorts as the ledger does."""
        return f"{self.turn:015}.{self.number:09}"

    @property
    def following(self) -> "Position":
        """The first place behind it."""
        return Position(self.turn, self.number + 1)

    @property
    def next_to_tell(self) -> "Position":
        """The first place that is not told yet when everything up to this one is."""
        return Position(self.turn + 1, 0) if self.number == _LAST else self.following

    @property
    def preceding(self) -> "Position":
        """The place that everything before it is up to."""
        return Position(self.turn, self.number - 1)


BEGINNING = Position(0, -1)


def end_of(turn: int) -> Position:
    """Return the place behind everything that the transaction of this number wrote."""
    return Position(turn, _LAST)


def position_of(text: str) -> Position:
    """Return the place that is written as ``turn`` or ``turn.number``, or ``beginning``.

    Raises:
        InvalidInputError: it is none.
    """
    if text.strip() == "beginning":
        return Position(0, 0)
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise InvalidInputError(
            "A position is the number of a turn, such as 120 or 120.3, or beginning.", path="from"
        )
    return Position(int(found["turn"]), int(found["number"] or 0))
