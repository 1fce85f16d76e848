"""A web vital in the form in which it is stored, and what its value is worth.

One row is one beacon: browsers report a vital again when it grows, under the same id.

Source: web.dev, "Web Vitals", for names, units and thresholds.
"""

import struct
from datetime import datetime
from typing import Literal, get_args

import msgspec

VitalName = Literal["LCP", "INP", "CLS", "FCP", "TTFB"]
VITAL_NAMES: tuple[VitalName, ...] = get_args(VitalName)
Rating = Literal["good", "needs-improvement", "poor"]

_LIMITS: dict[VitalName, tuple[float, float]] = {
    "LCP": (2500, 4000),
    "INP": (200, 500),
    "CLS": (0.1, 0.25),
    "FCP": (1800, 3000),
    "TTFB": (800, 1800),
}
"""Up to the first a value is good, beyond the second it is poor: milliseconds, CLS without unit."""


class Vital(msgspec.Struct, array_like=True, gc=False):
    """One stored beacon; fields stand in the order of the table's columns.

    ``value`` and ``delta`` are milliseconds, for CLS a plain number. ``parts`` are the shares of
    the value that the browser told apart, in its own unit.
    """

    time: datetime
    received_at: datetime
    id: str
    name: VitalName
    value: float
    delta: float
    rating: Rating
    page: str = ""
    device: str = ""
    navigation_type: str = ""
    journey: str = ""
    step: str = ""
    source: str = ""
    parts: dict[str, float] = {}

    @property
    def identity(self) -> str:
        """What makes two beacons the same: name, id and delta, the delta by its very bits.

        The bits are what the telemetry store can give back unchanged, whatever it prints.
        """
        (bits,) = struct.unpack("<Q", struct.pack("<d", self.delta))
        return f"vital:{self.name}:{self.id}:{bits}"


VITAL_COLUMNS: tuple[str, ...] = Vital.__struct_fields__


def rating_of(name: VitalName, value: float) -> Rating:
    """Return what a value is worth; a value on a threshold still counts as the better one."""
    good, fair = _LIMITS[name]
    if value <= good:
        return "good"
    return "needs-improvement" if value <= fair else "poor"
