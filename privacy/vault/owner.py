"""Who owns a data key: a person, or nobody in a scope for a UTC day."""

from datetime import datetime
from typing import NamedTuple

from candor.kernel.errors import InvalidInputError

_MOST_SUBJECT = 64
FIELDS = "*"
"""The scope of values that are encrypted, and not tokenised, while nobody knows whose they are."""


class Owner(NamedTuple):
    """The owner of a key. A person has one key at a time; nobody has one for each scope and day."""

    subject_key: str
    scope: str = ""
    period: str = ""


def owner_of(subject_key: str, scope: str, at: datetime) -> Owner:
    """Return who owns the key for a value of this person, which may be the empty string.

    Raises:
        InvalidInputError: it is too long for a pseudonym.
    """
    if len(subject_key) > _MOST_SUBJECT:
        raise InvalidInputError("A subject key has 64 characters at most.", path="subject_key")
    return Owner(subject_key) if subject_key else Owner("", scope, at.date().isoformat())
