"""Incidents of known shape, replayed minute by minute on real stores with a clock that is moved.

Every expected minute is worked out by hand from the table of the SRE Workbook (chapter 5), not from
the code: 30 days, a target of 0.99, so 14.4 is an error ratio of 0.144, and 6, 3 and 1 are 0.06,
0.03 and 0.01. Windows are 1 h and 5 min, 6 h and 30 min, 24 h and 2 h, 3 d and 6 h.
"""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from collector.event import Event
from slo.alerts.evaluator import evaluate
from slo.window import MINUTE
from tests.integration.test_alerts import applied
from tests.integration.test_budgeting import promised
from tests.integration.test_objectives import store
from tests.support.stores import NOON, FixedClock, services_on

BEFORE, AFTER = 3 * 1440, 420
EVENTS_A_MINUTE = 4
LATE_IN_THE_MINUTE = timedelta(seconds=17)
Told = tuple[int, str, str, str]


def replayed(telemetry: TelemetryStore, *, bad_minutes: int) -> None:
    """Store steady traffic in which all fails for the minutes from noon on, and none before."""
    store(
        telemetry,
        [
            Event(
                f"{minute}-{second}",
                "native",
                "x",
                "",
                NOON + minute * MINUTE + timedelta(seconds=second),
                NOON,
                "checkout",
                outcome="error" if 0 <= minute < bad_minutes else "ok",
            )
            for minute in range(-BEFORE, AFTER)
            for second in range(0, 60, 60 // EVENTS_A_MINUTE)
        ],
    )


def told(services: Services, clock: FixedClock, minutes: Iterable[int]) -> list[Told]:
    """Return (minute, transition, severity, tier) of all that evaluations at these minutes say."""
    found: list[Told] = []
    for minute in minutes:
        clock.now = NOON + minute * MINUTE + LATE_IN_THE_MINUTE
        found += [
            (minute, transition, alert.severity, alert.tier)
            for alert, transition in evaluate(services)
        ]
    return found


def watched(
    folder: Path, state: Engine, telemetry: TelemetryStore, clock: FixedClock, **annotations: str
) -> Services:
    services = services_on(folder, state, telemetry, clock)
    applied(services, promised(objectives=[{"target": 0.99}], annotations=annotations))
    return services


def test_twenty_minutes_of_failure_are_one_page_from_the_ninth_minute_on(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    replayed(embedded_telemetry, bad_minutes=20)
    services = watched(tmp_path, sqlite, embedded_telemetry, clock)
    # 9 / 60 = 0.15 is above 0.144, 8 / 60 is not. 20 / 360 is below 0.06, so nothing else fires.
    # At 24 one of five minutes is bad (0.2), at 25 none; five minutes later it is over.
    assert told(services, clock, range(-3, 60)) == [
        (9, "fired", "page", "fast"),
        (29, "resolved", "page", "fast"),
    ]


def test_three_quarters_of_an_hour_are_a_page_and_a_ticket_over_a_restart_and_an_outage(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    replayed(embedded_telemetry, bad_minutes=45)
    # 43.2 minutes are 0.03 of a day and 0.01 of three, so both tickets hold from the 44th on.
    first = watched(tmp_path, sqlite, embedded_telemetry, clock)
    assert told(first, clock, range(50)) == [
        (9, "fired", "page", "fast"),
        (44, "fired", "ticket", "slow"),
    ]
    # The page lasts while 2 of the last 30 minutes are bad (0.067 is above 0.06), so up to 73.
    restarted = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    assert told(restarted, clock, range(50, 90)) == [(78, "resolved", "page", "fast")]
    # The ticket lasts while 4 of the last 360 are bad (0.011 is above 0.01), so up to 401.
    after_an_outage = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    assert told(after_an_outage, clock, range(398, 410)) == [(406, "resolved", "ticket", "slow")]


def test_a_tier_that_is_disabled_leaves_the_page_to_the_next(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    replayed(embedded_telemetry, bad_minutes=45)
    services = watched(
        tmp_path, sqlite, embedded_telemetry, clock, **{"disabled-tiers": "fast, slow"}
    )
    # 22 / 360 = 0.0611 is above 0.06, 21 / 360 is not; the ticket is that of the long tier.
    assert told(services, clock, range(50)) == [
        (22, "fired", "page", "medium"),
        (44, "fired", "ticket", "long"),
    ]
