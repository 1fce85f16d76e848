"""Telephone numbers in their international form: the plus is evidence enough.

Presidio gives every number the same low score and waits for a word beside it. Source: ITU-T E.164.
"""

import re
from collections.abc import Iterator

from privacy.pii.finding import Finding

_ABROAD = re.compile(r"(?<![\w+])\+[0-9][0-9 ()./-]{6,20}[0-9](?![\w])")
_SCORE = 0.6


def find_abroad(text: str) -> Iterator[Finding]:
    """Yield the valid numbers of a text that begin with a plus."""
    for match in _ABROAD.finditer(text):
        if _is_valid(match[0]):
            yield Finding("PHONE_NUMBER", *match.span(), _SCORE, "InternationalNumberRule")


def _is_valid(number: str) -> bool:
    from phonenumbers import (  # noqa: PLC0415 - heavy, and seldom needed
        NumberParseException,
        is_valid_number,
        parse,
    )

    try:
        return is_valid_number(parse(number))
    except NumberParseException:
        return False
