"""Why somebody reads personal values: a sentence that is kept for ever, and so must hold none."""

import re

_SHORTEST_REPEATED = 3


def checked_reason(reason: str) -> str:
    """Return a reason without white space around it.

    Raises:
        ValueError: it says nothing, or holds an address.
    """
    reason = reason.strip()
    if not reason:
        raise ValueError("say why, such as the number of a case")
    if "@" in reason:
        raise ValueError("it is kept for ever, so it must not hold an address")
    return reason


def repeats(reason: str, value: str) -> bool:
    """Whether a value stands in a reason as a word or words of its own."""
    if len(value) < _SHORTEST_REPEATED:
        return False
    pattern = rf"(?<!\w){re.escape(value.casefold())}(?!\w)"
    return re.search(pattern, reason.casefold()) is not None
