"""Error budgets from counts: exact, weighted by events, never clamped, never a number for nothing.

Ratios are computed as fractions of integers and turned into floats once, at the end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from slo.window import MINUTE, Window


@dataclass(frozen=True, slots=True)
class EventCounts:
    """Valid events of a window, and the good ones among them."""

    good: int
    valid: int

    @property
    def bad(self) -> int:
        """Valid events that are not good."""
        return self.valid - self.good

    @property
    def sli(self) -> Fraction | None:
        """Good / valid; none when nothing was valid: unmeasured is neither good nor bad."""
        return Fraction(self.good, self.valid) if self.valid else None


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """What an objective still allows in one window."""

    target: Decimal
    window: Window
    counts: EventCounts

    @property
    def allowed(self) -> Fraction:
        """The share of valid events that may be bad: 1 - target."""
        return 1 - Fraction(self.target)

    @property
    def consumed(self) -> Fraction | None:
        """Error ratio / (1 - target); above 1 when overspent, none without valid events.

        Source: SRE Workbook, chapter 5.
        """
        return burn_rate(self.counts, self.target)

    @property
    def remaining(self) -> Fraction | None:
        """1 - consumed, in (-inf, 1]."""
        return None if self.consumed is None else 1 - self.consumed

    @property
    def bad_events_left(self) -> Fraction | None:
        """How many more events of this volume may be bad; negative when overspent."""
        if not self.counts.valid:
            return None
        return self.allowed * self.counts.valid - self.counts.bad

    @property
    def seconds_left(self) -> Fraction | None:
        """The remaining budget as time of total failure: window x (SLI - target), in seconds."""
        if self.counts.sli is None:
            return None
        seconds = Fraction(self.window.length.total_seconds())
        return seconds * (self.counts.sli - Fraction(self.target))


def burn_rate(counts: EventCounts, target: Decimal) -> Fraction | None:
    """Return error ratio / (1 - target): 1 spends the budget exactly in its window.

    None without valid events.

    Source: SRE Workbook, chapter 5.
    """
    if not counts.valid:
        return None
    return Fraction(counts.bad, counts.valid) / (1 - Fraction(target))


@dataclass(frozen=True, slots=True)
class Slice:
    """The counts of one minute."""

    minute: datetime
    counts: EventCounts


def coverage(
    slices: Iterable[Slice], window: Window, left_out: timedelta = timedelta(0)
) -> float | None:
    """Return the share of the window's minutes that hold valid events; none for no minute.

    Minutes that are ``left_out`` by corrections are not expected to.
    """
    expected = window.minutes - left_out // MINUTE
    if expected <= 0:
        return None
    return sum(1 for part in slices if part.counts.valid) / expected


def exhausted_at(slices: Iterable[Slice], target: Decimal) -> datetime | None:
    """Return the end of the first minute by which the whole window's budget was spent.

    The budget is (1 - target) of all valid events of the window, in events. None when it is not
    spent.
    """
    ordered = sorted(slices, key=lambda part: part.minute)
    allowed = (1 - Fraction(target)) * sum(part.counts.valid for part in ordered)
    bad = 0
    for part in ordered:
        bad += part.counts.bad
        if bad and bad >= allowed:
            return part.minute + MINUTE
    return None
