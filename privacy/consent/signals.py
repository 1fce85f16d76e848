"""Signals that come with a request.

Source: Global Privacy Control, "The Sec-GPC Header Field for HTTP Requests".
"""

from collections.abc import Iterable

GPC_HEADER = b"sec-gpc"


def is_gpc(values: Iterable[bytes]) -> bool:
    """Whether one of the header's values is exactly ``1``; any other value says nothing."""
    return any(value == b"1" for value in values)
