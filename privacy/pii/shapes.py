"""Shapes of values that tell nobody apart from anybody: ids, instants, hashes.

Recognizers find telephone and account numbers in them by chance. A policy that looks for evidence
does not ask about a text that is nothing but such a shape.
"""

import re

_SHAPES = re.compile(
    r"(?:[A-Za-z]{1,20}[-_:/.])?(?:"  # a word for the kind of thing, as in order-UUID
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"  # RFC 9562
    r"|[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})"  # trace ids, digests
    r"|\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)?)?"  # RFC 3339
    r"|00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]"  # W3C Trace Context
)
_CARD = re.compile(r"(?<![0-9a-f])[0-9]{16}$")


def is_impersonal(text: str) -> bool:
    """Whether a text is an id, an instant or a digest as a whole.

    A row of digits is none of these, whatever word stands before it: it may be a card.
    """
    return _SHAPES.fullmatch(text) is not None and _CARD.search(text) is None
