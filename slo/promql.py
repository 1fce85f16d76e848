"""What a Prometheus is asked for an indicator, and what its samples count, minute by minute.

A counter (``counter: true``) counts by the difference of its samples, series by series, and begins
anew where it fell. A ``rate`` is events a second, an ``increase`` events in its range. A raw ratio
has no events: a minute of it weighs a million, good in its share. A threshold judges each series
once a minute. A minute without samples is not measured.

Source: OpenSLO v1, ``ratioMetric.counter``; Prometheus, "HTTP API", ``query_range``.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b

import msgspec

from slo.indicator import COMPARED, Comparison

STEP_SECONDS = 60
STALE_SECONDS = 300
RAW_WEIGHT = 1_000_000.0
_WINDOW = re.compile(r"\{\{\s*\.window\s*\}\}")
_RATE = re.compile(r"\bi?rate\s*\(")
_INCREASE = re.compile(r"\bincrease\s*\(")
_RANGE = re.compile(r"\[\s*(\d+)([smhdw])\s*\]")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

Samples = Mapping[int, float]
"""The values of one series by their seconds since the epoch."""

Minutes = dict[int, tuple[float, float]]
"""Good and valid weight by the second at which a minute begins."""


@dataclass(frozen=True, slots=True)
class PromQL:
    """The queries of an indicator: a ratio of two, a raw ratio, or a value with its limit.

    ``source`` names the data source; without one it is the default.
    """

    good: str | None = None
    bad: str | None = None
    total: str | None = None
    raw: str | None = None
    raw_is_success: bool = True
    value: str | None = None
    operator: Comparison | None = None
    limit: float | None = None
    is_counter: bool = False
    source: str = ""

    @property
    def digest(self) -> str:
        """What its minutes are stored under: 32 hexadecimal digits, equal for equal askings."""
        text = json.dumps(asdict(self), sort_keys=True)
        return blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def queries(self) -> dict[str, str]:
        """The queries to send, by what each is for."""
        named = {name: getattr(self, name) for name in ("good", "bad", "total", "raw", "value")}
        return {name: _WINDOW.sub("5m", text) for name, text in named.items() if text is not None}

    def counts(self, answers: Mapping[str, Sequence[Samples]], since: int, until: int) -> Minutes:
        """Return the minutes from ``since`` to ``until`` that the answers measure."""
        if self.raw is not None:
            return _raw_minutes(answers["raw"], since, until, is_success=self.raw_is_success)
        if self.value is not None:
            return self._judged_minutes(answers["value"], since, until)
        totals = self._events(self.queries["total"], answers["total"], since, until)
        name = "good" if self.good is not None else "bad"
        parts = self._events(self.queries[name], answers[name], since, until)
        minutes: Minutes = {}
        for minute, valid in totals.items():
            part = min(parts.get(minute, 0.0), valid)
            minutes[minute] = (part if name == "good" else valid - part, valid)
        return minutes

    def _events(
        self, query: str, series: Sequence[Samples], since: int, until: int
    ) -> dict[int, float]:
        scale = 1.0 if self.is_counter else scale_of(query) or 0.0
        events: dict[int, float] = {}
        for samples in series:
            for minute in range(since, until, STEP_SECONDS):
                now = samples.get(minute + STEP_SECONDS)
                if now is None:
                    continue
                before = _before(samples, minute) if self.is_counter else 0.0
                if before is None:
                    continue
                added = now * scale if not self.is_counter or now < before else now - before
                events[minute] = events.get(minute, 0.0) + max(0.0, added)
        return events

    def _judged_minutes(self, series: Sequence[Samples], since: int, until: int) -> Minutes:
        minutes: Minutes = {}
        for samples in series:
            for minute in range(since, until, STEP_SECONDS):
                value = samples.get(minute + STEP_SECONDS)
                if value is None or self.operator is None or self.limit is None:
                    continue
                good, valid = minutes.get(minute, (0.0, 0.0))
                is_good = COMPARED[self.operator](value, self.limit)
                minutes[minute] = (good + is_good, valid + 1)
        return minutes


def scale_of(query: str) -> float | None:
    """Return by what a sample is multiplied to be the events of a minute; none if that is unknown.

    Of an ``increase`` the range says it.
    """
    if _RATE.search(query):
        return float(STEP_SECONDS)
    found = _RANGE.search(_WINDOW.sub("5m", query))
    if _INCREASE.search(query) and found is not None:
        return STEP_SECONDS / (int(found[1]) * _UNITS[found[2]])
    return None


class _Series(msgspec.Struct):
    """A series of native histograms has no values."""

    values: list[tuple[float, str]] = []


class _Matrix(msgspec.Struct):
    result: list[_Series]


class _Answer(msgspec.Struct):
    data: _Matrix


_ANSWER = msgspec.json.Decoder(_Answer)


def samples_of(answer: bytes) -> list[Samples]:
    """Return the series of a range query's answer; what is not a number is no sample.

    Raises:
        ValueError: it is not what a Prometheus answers.
    """
    series: list[Samples] = []
    for one in _ANSWER.decode(answer).data.result:
        read = {round(at): float(value) for at, value in one.values}
        series.append({at: value for at, value in read.items() if math.isfinite(value)})
    return series


def _before(samples: Samples, at: int) -> float | None:
    """Return the last sample at or before an instant that is not stale."""
    for back in range(0, STALE_SECONDS, STEP_SECONDS):
        if (value := samples.get(at - back)) is not None:
            return value
    return None


def _raw_minutes(series: Sequence[Samples], since: int, until: int, *, is_success: bool) -> Minutes:
    minutes: Minutes = {}
    for samples in series:
        for minute in range(since, until, STEP_SECONDS):
            ratio = samples.get(minute + STEP_SECONDS)
            if ratio is None:
                continue
            share = min(1.0, max(0.0, ratio if is_success else 1 - ratio))
            good, valid = minutes.get(minute, (0.0, 0.0))
            minutes[minute] = (good + share * RAW_WEIGHT, valid + RAW_WEIGHT)
    return minutes
