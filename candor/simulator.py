"""A shop's customers, seeded: three journeys over several channels, and a month's mishaps.

The same seed and end give the same events. Days have a rhythm (quiet nights, busy evenings); one
day the payment provider is down, another day it is slow; some events are sent twice, some late.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import cos, pi
from typing import Any
from uuid import UUID

DAYS = 30
OUTAGE_BEGAN = timedelta(days=6, hours=3)
OUTAGE_LASTED = timedelta(hours=2)
SLOWNESS_BEGAN = timedelta(days=2, hours=5)
SLOWNESS_LASTED = timedelta(hours=4)

_NO_TIME = timedelta(0)
_SECONDS, _MINUTES, _HOURS = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
_WEB = ("web", "app")
_DUPLICATE_SHARE = 0.01
_LATE_SHARE = 0.01
_EVENING = 20
_OUTAGE_FAILS = 0.75
_SLOWER = 6.0
_EVENTS_PER_CUSTOMER = 3.4


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a journey: where it happens, how long it takes, and how often it goes on."""

    step: str
    service: str
    channels: tuple[str, ...]
    median_ms: float
    goes_on: float
    fails: float
    pause: timedelta


_JOURNEYS: dict[str, tuple[float, tuple[Stage, ...]]] = {
    "checkout": (
        0.62,
        (
            Stage("cart", "shop-web", _WEB, 90, 0.86, 0.0008, _MINUTES * 2),
            Stage("address", "shop-web", _WEB, 120, 0.92, 0.0008, _MINUTES * 2),
            Stage("payment", "checkout-api", _WEB, 210, 0.95, 0.0006, _SECONDS * 5),
            Stage("confirmation", "mailer", ("email", "push"), 60, 1.0, 0.0005, _NO_TIME),
        ),
    ),
    "onboarding": (
        0.24,
        (
            Stage("sign-up", "accounts-api", _WEB, 150, 0.9, 0.001, _MINUTES * 20),
            Stage("verify", "accounts-api", ("email", "sms"), 80, 0.85, 0.001, _HOURS * 2),
            Stage("profile", "accounts-api", _WEB, 130, 0.75, 0.001, _HOURS * 8),
            Stage("first-order", "shop-web", _WEB, 110, 1.0, 0.001, _NO_TIME),
        ),
    ),
    "payment-recovery": (
        0.14,
        (
            Stage("payment-failed", "billing", ("api",), 40, 1.0, 0.0, _HOURS * 6),
            Stage("reminder", "mailer", ("email", "sms", "push"), 55, 0.7, 0.002, _HOURS * 24),
            Stage("retry", "billing", ("web", "app", "voice"), 240, 0.8, 0.004, _SECONDS * 30),
            Stage("recovered", "billing", ("email", "chat"), 45, 1.0, 0.0, _NO_TIME),
        ),
    ),
}  # fmt: skip


@dataclass(slots=True)
class Simulation:
    """Events of the month that ends at ``end``, at least ``events`` of them."""

    end: datetime
    events: int
    seed: int = 1
    _dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311 - repeatable, not secret

    def run(self) -> list[dict[str, Any]]:
        """Return native events in the order in which they are sent; repeated ones stand twice."""
        events: list[dict[str, Any]] = []
        number = 0
        while len(events) < self.events:
            for journey, (share, stages) in _JOURNEYS.items():
                customers = max(1, round(self.events / _EVENTS_PER_CUSTOMER * share / 10))
                for _ in range(customers):
                    number += 1
                    events += self._walk(journey, stages, number)
        return self._as_sent(events)

    def _walk(
        self, journey: str, stages: tuple[Stage, ...], number: int
    ) -> Iterator[dict[str, Any]]:
        at = self._start()
        customer = self._dice.randrange(self.events // 4 + 1)
        amount = round(self._dice.lognormvariate(3.6, 0.6), 2)
        variant = self._dice.choice("ab")
        for stage in stages:
            if at >= self.end:
                return
            event = self._event(journey, stage, at, f"{journey}-{number}")
            event["subject"] = {"type": "email", "value": f"customer-{customer}@example.org"}
            event["experiment"] = {"key": "new-form", "variant": variant}
            if stage.step in {"payment", "retry"}:
                event["value"] = {"amount": amount, "currency": "EUR"}
            yield event
            if event["outcome"] != "ok" or self._dice.random() > stage.goes_on:
                return
            at += stage.pause * self._dice.uniform(0.2, 1.8)

    def _event(self, journey: str, stage: Stage, at: datetime, instance: str) -> dict[str, Any]:
        ago = self.end - at
        is_payment = stage.step == "payment"
        is_down = is_payment and OUTAGE_BEGAN - OUTAGE_LASTED <= ago < OUTAGE_BEGAN
        is_slow = is_payment and SLOWNESS_BEGAN - SLOWNESS_LASTED <= ago < SLOWNESS_BEGAN
        failed = self._dice.random() < (_OUTAGE_FAILS if is_down else stage.fails)
        duration = self._dice.lognormvariate(0, 0.35) * stage.median_ms
        return {
            "id": str(UUID(int=self._dice.getrandbits(128), version=4)),
            "name": f"{journey}.{stage.step}",
            "time": at.isoformat(timespec="milliseconds"),
            "journey": journey,
            "instance": instance,
            "step": stage.step,
            "outcome": "error" if failed else "ok",
            "error_code": "provider_unavailable" if failed else None,
            "channel": self._dice.choice(stage.channels),
            "service": stage.service,
            "duration_ms": round(duration * (_SLOWER if is_slow else 1), 1),
            "attributes": {"country": self._dice.choice(("AU", "DE", "IE")), "release": "4.12"},
        }

    def _start(self) -> datetime:
        """Return an instant of the month; the evening is about four times as busy as the night."""
        while True:
            at = self.end - timedelta(days=DAYS) * self._dice.random()
            busy = 0.6 + 0.4 * cos((at.hour + at.minute / 60 - _EVENING) / 24 * 2 * pi)
            if self._dice.random() < busy:
                return at

    def _as_sent(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return events in order of time, a few again later, a few hours late."""
        arrivals = []
        for event in events:
            sent = event["time"]
            if self._dice.random() < _LATE_SHARE:
                sent = (datetime.fromisoformat(sent) + timedelta(hours=5)).isoformat()
            arrivals.append((sent, event))
            if self._dice.random() < _DUPLICATE_SHARE:
                arrivals.append((sent, event))
        arrivals.sort(key=lambda arrival: arrival[0])
        return [event for _, event in arrivals]
