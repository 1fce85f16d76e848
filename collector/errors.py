"""What can go wrong between a door and the disk, beyond the errors of the house."""

from candor.kernel.errors import UnavailableError


class SpoolBrokenError(UnavailableError):
    """The disk no longer takes writes; nothing is accepted until it does."""

    code = "spool_broken"
    title = "Spool broken"
