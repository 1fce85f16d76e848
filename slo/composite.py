"""Several measured parts as one: by weight, or as the steps of a journey, late ones included.

- weighted: the bad ratio is the weighted sum of the parts' bad ratios, the weights adding up to 1.
- journey: a journey is good when every step is, so its good ratio is the product of the steps'.

A part without valid events takes no part, and the weights of the others grow. A part is delayed
where no valid event came for longer than it may; what that time counts as is for the objective to
say. An objective with one indicator is a composite of one part.

Source: OpenSLO v1, ``compositeWeight``; Nobl9's composites for delay.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal

from slo.budgeting import Place, left_out
from slo.window import EPOCH, Window, seconds_at

WhenDelayed = Literal["CountAsGood", "CountAsBad", "Ignore"]
Combination = Literal["weighted", "journey"]
BadBy = Callable[[Sequence[datetime]], Sequence[Sequence[int]]]
"""Tells for each instant how many units of each part, bad ones, were over by it."""

_UNIT = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Delay:
    """How long a part may be silent, and what longer silence counts as."""

    longest: timedelta
    when_delayed: WhenDelayed = "Ignore"


@dataclass(frozen=True, slots=True)
class Measure:
    """One part in one window: its bad and valid units, and how much of it was too silent."""

    weight: Fraction
    bad: int
    valid: int
    delayed: Fraction = Fraction(0)
    delayed_is_bad: bool = False

    @property
    def is_measured(self) -> bool:
        """Whether there is anything to judge it by."""
        return self.valid > 0 or self.delayed > 0

    @property
    def bad_ratio(self) -> Fraction | None:
        """The part's bad ratio over the whole window; none when it was not measured."""
        return self.ratio_of(self.bad, at_end=True) if self.is_measured else None

    def ratio_of(self, bad: int, *, at_end: bool) -> Fraction:
        """Return what so many bad units are of the whole window; delay is known at its end only."""
        ratio = Fraction(bad, self.valid) if self.valid else Fraction(0)
        late = self.delayed if at_end and self.delayed_is_bad else Fraction(0)
        return (1 - self.delayed) * ratio + late if self.valid else Fraction(int(late > 0))


def silent_share(heard: Sequence[Window], place: Place, longest: timedelta) -> Fraction:
    """Return the share of a span that lies in a silence, beyond the longest one allowed.

    ``heard`` is in order. In the gaps that corrections leave nobody listens: a silence begins anew
    after each.
    """
    span, gaps = place.span, place.gaps
    late, last = timedelta(0), span.since
    for one in sorted([*heard, *gaps], key=lambda window: (window.since, window.until)):
        late += max(timedelta(0), one.since - last - longest)
        last = max(last, one.until)
    late += max(timedelta(0), span.until - last - longest)
    length = (span.length - left_out(gaps)) // _UNIT
    return Fraction(late // _UNIT, length) if length > 0 else Fraction(0)


def bad_ratio(
    parts: Sequence[Measure], combination: Combination, bad: Sequence[int] | None = None
) -> Fraction | None:
    """Return the bad ratio of all parts together, or what it is with so many ``bad`` units each.

    None when no part was measured. It never falls with ``bad``.
    """
    ratios = [
        (part.weight, part.ratio_of(part.bad if bad is None else bad[place], at_end=bad is None))
        for place, part in enumerate(parts)
        if part.is_measured
    ]
    if not ratios:
        return None
    if combination == "journey":
        good = Fraction(1)
        for _, ratio in ratios:
            good *= 1 - ratio
        return 1 - good
    weights = sum((weight for weight, _ in ratios), Fraction(0))
    return sum((weight * ratio for weight, ratio in ratios), Fraction(0)) / weights


def spent_at(
    parts: Sequence[Measure],
    combination: Combination,
    allowed: Fraction,
    within: Window,
    bad_by: BadBy,
) -> datetime | None:
    """Return the first instant within a window by which its whole budget was spent, or none.

    Units are over at whole seconds.

    Cost: asks ``bad_by`` once for every 256th part of the window, then of what is left, to the
    second: thrice for 30 days.
    """
    whole = bad_ratio(parts, combination)
    if whole is None or whole == 0 or whole < allowed:
        return None
    low, high = seconds_at(within.since) - 1, seconds_at(within.until)
    is_found = False
    while not is_found or high - low > 1:
        step = max(1, -(-(high - low) // _AT_ONCE))
        instants = [*range(low + step, high, step), high]
        spent = [
            bad_ratio(parts, combination, bad) or Fraction(0)
            for bad in bad_by([EPOCH + one * _SECOND for one in instants])
        ]
        reached = next((n for n, one in enumerate(spent) if one > 0 and one >= allowed), None)
        if reached is None:
            return None
        low, high = (instants[reached - 1] if reached else low), instants[reached]
        is_found = True
    return EPOCH + high * _SECOND
