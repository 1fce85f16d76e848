"""Everything that can go wrong on purpose.

::

    CandorError
    +-- InvalidInputError            422  the request cannot mean anything
    |   +-- MalformedError           400  its bytes cannot be read
    |   +-- TooLargeError            413  it is over a limit
    |   +-- UnsupportedTypeError     415  its content type is not of this door
    +-- UnauthenticatedError         401  no key, or one that is unknown, expired or revoked
    +-- ForbiddenError               403  the key lacks a scope
    +-- NotFoundError                404  nothing bears that name
    +-- ConflictError                409  the state forbids it
    +-- UnavailableError             503  a store or the disk cannot do it now
        +-- OverloadedError          429  the spool is full; come back later

No message, path or extra may hold a personal value: they reach logs, clients and metrics.
"""

from datetime import datetime, timedelta
from typing import ClassVar


class CandorError(Exception):
    """An error that a caller can be told about.

    ``detail`` is one sentence that names the place and what to do next; ``path`` is where in the
    input the fault lies, if it lies in the input.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, path: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.path = path


class InvalidInputError(CandorError):
    """The input was read but cannot be meant."""

    status = 422
    code = "invalid_input"
    title = "Invalid input"


class MalformedError(InvalidInputError):
    """The input cannot be read at all."""

    status = 400
    code = "malformed"
    title = "Malformed body"


class TooLargeError(InvalidInputError):
    """The input is over a limit, before or after decompression."""

    status = 413
    code = "too_large"
    title = "Body too large"


class UnsupportedTypeError(InvalidInputError):
    """The content type or encoding is none that this door reads."""

    status = 415
    code = "unsupported_type"
    title = "Unsupported content type"


class UnauthenticatedError(CandorError):
    """No key came with the request, or one that is unknown, expired or revoked."""

    status = 401
    code = "unauthenticated"
    title = "Key required"


class ForbiddenError(CandorError):
    """The key is good but does not carry the scope that this needs."""

    status = 403
    code = "forbidden"
    title = "Scope missing"


class NotFoundError(CandorError):
    """Nothing bears that name."""

    status = 404
    code = "not_found"
    title = "Not found"


class ConflictError(CandorError):
    """The present state forbids it."""

    status = 409
    code = "conflict"
    title = "Conflict"


class UnavailableError(CandorError):
    """A store, the disk or another system cannot do it now; nothing was accepted."""

    status = 503
    code = "unavailable"
    title = "Unavailable"

    def __init__(self, detail: str, *, retry_after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class OverloadedError(UnavailableError):
    """The spool is full: nothing was accepted, and the same request is welcome later.

    ``resets_at`` is the instant at which ``retry_after`` ends, where the place knows the time.
    """

    status = 429
    code = "overloaded"
    title = "Too much at once"

    def __init__(
        self,
        detail: str,
        *,
        retry_after: timedelta = timedelta(seconds=5),
        resets_at: datetime | None = None,
    ) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.resets_at = resets_at
