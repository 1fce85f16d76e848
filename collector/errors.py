"""What can go wrong between a door and the disk, beyond the errors of the house."""

from candor.kernel.errors import ForbiddenError, OverloadedError, UnavailableError


class SpoolBrokenError(UnavailableError):
    """The disk no longer takes writes; nothing is accepted until it does."""

    code = "spool_broken"
    title = "Spool broken"


class OriginNotAllowedError(ForbiddenError):
    """The page that sends is of no origin that the key names."""

    code = "origin_not_allowed"
    title = "Origin not allowed"


class RateLimitedError(OverloadedError):
    """The key came more often than it may; the same request is welcome later."""

    code = "rate_limited"
    title = "Too many requests"
