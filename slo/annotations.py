"""What OpenSLO v1 has no field for: annotations under ``candor.dev/``, which keep the file valid.

=============================  ====================================================================
candor.dev/windows             further windows, by comma: ``7d``, ``1M@Europe/Dublin``, ``1Q@UTC``
candor.dev/no-data             ``exclude``, ``freeze``, ``bad`` or ``alert``
candor.dev/minimum-events      with fewer valid events there is no verdict
candor.dev/minimum-bad-events  with fewer bad events in its long window no burn rule fires
candor.dev/data-interval       how often there is data at all: ``5m``
candor.dev/expected-events     valid events of one whole window; a calendar's timeline falls from it
candor.dev/composite           ``weighted`` or ``journey``
candor.dev/max-delay           how long a part of a composite may be silent: ``10m``
candor.dev/when-delayed        ``CountAsGood``, ``CountAsBad`` or ``Ignore``
candor.dev/by                  the field whose values have a budget each: ``channel``
candor.dev/disabled-tiers      tiers that alert nobody, by comma: ``slow, long``
=============================  ====================================================================
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from candor.kernel.document import Value
from candor.kernel.errors import InvalidInputError
from slo.budgeting import Method
from slo.burn_rate import TIER_NAMES
from slo.composite import Combination, Delay, WhenDelayed
from slo.objective import NoData
from slo.period import Period, parse_period
from slo.window import parse_duration

PREFIX = "candor.dev/"
_NO_DATA: dict[str, NoData] = {
    "exclude": "exclude",
    "freeze": "freeze",
    "bad": "bad",
    "alert": "alert",
}
_COMBINATIONS: dict[str, Combination] = {"weighted": "weighted", "journey": "journey"}
_WHEN_DELAYED: dict[str, WhenDelayed] = {
    "CountAsGood": "CountAsGood",
    "CountAsBad": "CountAsBad",
    "Ignore": "Ignore",
}
_KEYS = frozenset(
    {
        *("windows", "no-data", "minimum-events", "minimum-bad-events", "data-interval"),
        *("expected-events", "composite", "max-delay", "when-delayed", "disabled-tiers", "by"),
    }
)
_RULE = "annotation"
_MOST_DIGITS = 15
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terms:
    """What the annotations of an SLO say, with the usual where they say nothing."""

    windows: tuple[Period, ...] = ()
    no_data: NoData = "exclude"
    minimum_events: int = 0
    minimum_bad_events: int = 0
    data_interval: timedelta | None = None
    expected_events: int | None = None
    combination: Combination = "weighted"
    delay: Delay | None = None
    disabled_tiers: frozenset[str] = frozenset()
    by: str | None = None
    by_place: Value | None = field(default=None, compare=False)


def read_terms(annotations: Mapping[str, Value], method: Method | None) -> Terms:
    """Return the terms of an SLO; what cannot be meant is reported under ``annotation``."""
    ours = {
        key.removeprefix(PREFIX): value
        for key, value in annotations.items()
        if key.startswith(PREFIX)
    }
    for key, value in ours.items():
        if key not in _KEYS:
            value.fault(_RULE, f"Candor has no such annotation: {', '.join(sorted(_KEYS))}.")
    no_data = _read(ours.get("no-data"), lambda text: _word(text, _NO_DATA))
    if no_data == "bad" and method == "Occurrences":
        ours["no-data"].fault(_RULE, "What did not happen cannot be bad. Use a method of slices.")
    return Terms(
        windows=_read(ours.get("windows"), _windows) or (),
        no_data=no_data or "exclude",
        minimum_events=_read(ours.get("minimum-events"), _count) or 0,
        minimum_bad_events=_read(ours.get("minimum-bad-events"), _count) or 0,
        data_interval=_read(ours.get("data-interval"), parse_duration),
        expected_events=_read(ours.get("expected-events"), _count),
        combination=_read(ours.get("composite"), lambda text: _word(text, _COMBINATIONS))
        or "weighted",
        delay=read_delay(annotations),
        by=_read(ours.get("by"), str),
        by_place=ours.get("by"),
        disabled_tiers=_read(ours.get("disabled-tiers"), _tiers) or frozenset(),
    )


def read_delay(annotations: Mapping[str, Value]) -> Delay | None:
    """Return how long a part may be silent; none where nothing is said about it."""
    longest_at, word_at = (annotations.get(PREFIX + key) for key in ("max-delay", "when-delayed"))
    longest = _read(longest_at, parse_duration)
    word = _read(word_at, lambda text: _word(text, _WHEN_DELAYED))
    if word_at is not None and longest_at is None:
        word_at.fault(_RULE, "when-delayed needs max-delay beside it.")
    return None if longest is None else Delay(longest, word or "Ignore")


def _read(value: Value | None, read: Callable[[str], T]) -> T | None:
    text = value.text() if value is not None else None
    if value is None or text is None:
        return None
    try:
        return read(text)
    except InvalidInputError as error:
        value.fault(_RULE, error.detail)
        return None


def _windows(text: str) -> tuple[Period, ...]:
    return tuple(parse_period(one.strip()) for one in text.split(","))


def _tiers(text: str) -> frozenset[str]:
    return frozenset(_word(one.strip(), TIER_NAMES) for one in text.split(","))


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InvalidInputError("This must be a whole number.")
    return int(text)


def _word(text: str, words: Mapping[str, T]) -> T:
    if text not in words:
        raise InvalidInputError(f"This is one of {', '.join(words)}.")
    return words[text]
