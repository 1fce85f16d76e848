"""Budgets over real events: the three methods, calendars, composites, and what is not known."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
import yaml
from sqlalchemy import text as sql

from candor.kernel.database import session_of
from collector.event import Event
from collector.store import encode_events, insert_events
from slo.lookback import read_lookbacks
from slo.register import find_objective
from slo.window import MINUTE
from tests.support.asgi import Application
from tests.support.stores import NOON, FixedClock
from tests.unit.slo.test_openslo import objective, source

YAML = {"content-type": "application/yaml"}
TIMESLICES = {"target": 0.9, "timeSliceTarget": 0.9, "timeSliceWindow": "5m"}
RATIO = {"target": 0.9, "timeSliceWindow": "5m"}
MONTH = {"startTime": "2020-01-01 00:00:00", "timeZone": "Australia/Sydney"}


def events(at: datetime, good: int, bad: int, step: str = "") -> list[Event]:
    return [
        Event(f"{at}{step}{n}", "native", "x", "", at, NOON, "checkout", step=step, outcome=outcome)
        for n, outcome in enumerate(["ok"] * good + ["error"] * bad)
    ]


def store(application: Application, *groups: list[Event]) -> None:
    rows = [event for group in groups for event in group]
    insert_events(application.services.telemetry, [encode_events(rows)], str(rows[0].id))


def apply(application: Application, *documents: dict[str, Any]) -> None:
    text = yaml.safe_dump_all(documents)
    answer = application.post("/api/v1/objectives/apply", content=text, headers=YAML)
    assert answer.status_code == 200, answer.text


def budget(application: Application, at: datetime = NOON, window: str | None = None) -> Any:  # noqa: ANN401 - a JSON document
    asked = {"at": at.isoformat()} | ({"window": window} if window else {})
    answer = application.get("/api/v1/objectives/checkout/budget", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def promised(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML
    annotations = changes.pop("annotations", None)
    document = objective(**changes)
    if annotations:
        named = {f"candor.dev/{key}": value for key, value in annotations.items()}
        document["metadata"]["annotations"] = named
    return document


def composite(**annotations: str) -> dict[str, Any]:
    def part(step: str, weight: int) -> dict[str, Any]:
        ratio = {"total": source(filter={"step": step}, good={"outcome": "ok"})}
        indicator = {"metadata": {"name": step}, "spec": {"ratioMetric": ratio}}
        return {"target": 0.9, "compositeWeight": weight, "indicator": indicator}

    objectives = [part("cart", 3), part("payment", 1)]
    return promised(indicator=None, objectives=objectives, annotations=annotations)


@pytest.mark.parametrize(
    ("method", "goal", "sli", "unit"),
    [
        ("Occurrences", {"target": 0.9}, 91 / 102, ("events", 91, 102)),
        ("Timeslices", TIMESLICES, 2 / 3, ("slices", 2, 3)),
        ("RatioTimeslices", RATIO, (0.9 + 1 + 0) / 3, ("events", 91, 102)),
    ],
)
def test_each_method_gives_its_own_sli_of_the_same_events(
    application: Application, method: str, goal: dict[str, Any], sli: float, unit: tuple[Any, ...]
) -> None:
    store(
        application,
        events(NOON - 30 * MINUTE, 90, 10),
        events(NOON - 20 * MINUTE, 1, 0),
        events(NOON - 10 * MINUTE, 0, 1),
    )
    apply(application, promised(budgetingMethod=method, objectives=[goal]))
    answer = budget(application, window="1h")
    assert answer["method"] == method
    assert answer["sli"] == pytest.approx(sli)
    assert answer["consumed"] == pytest.approx((1 - sli) / 0.1)
    assert (answer["unit"], answer["good"], answer["valid"]) == unit
    assert answer["coverage"] == pytest.approx(3 / (60 if method == "Occurrences" else 12))
    burn = application.get(
        "/api/v1/objectives/checkout/burn", params={"at": NOON.isoformat()}
    ).json()
    assert burn["tiers"][0]["long_burn"] == pytest.approx((1 - sli) / 0.1)
    timeline = application.get(
        "/api/v1/objectives/checkout/timeline", params={"at": NOON.isoformat(), "window": "1h"}
    ).json()
    assert timeline["points"][-1]["remaining"] == pytest.approx(answer["remaining"])
    units = [one["burn"] for one in timeline["points"] if one["burn"] is not None]
    assert sum(units) / len(units) == pytest.approx(
        {"Occurrences": (0.1 + 0 + 1) / 3 / 0.1}.get(method, answer["consumed"])
    )


def test_burn_rates_over_the_whole_window_are_of_the_slices_of_the_budget(
    application: Application,
) -> None:
    at = NOON + 2 * MINUTE  # the window begins within a slice
    since = at - timedelta(days=30)
    store(application, events(since + MINUTE, 0, 1), events(at - MINUTE, 1, 0))
    apply(application, promised(budgetingMethod="Timeslices", objectives=[TIMESLICES]))
    sli = budget(application, at=at)["sli"]
    with session_of(application.services.engine) as session:
        whole = find_objective(session, "checkout").objective
    length = timedelta(days=30)
    (read,) = read_lookbacks(application.services.telemetry, [whole], at, [{length}])
    assert sli == read[length].sli == Fraction(1)


def test_a_calendar_month_is_that_of_its_zone_and_has_its_hours(application: Application) -> None:
    # In Sydney October 2026 begins at 14:00 UTC and, with the clock change, is an hour short.
    begin = datetime(2026, 9, 30, 14, tzinfo=UTC)
    end = datetime(2026, 10, 31, 13, tzinfo=UTC)
    store(
        application,
        events(begin - MINUTE, 0, 5),
        events(begin, 9, 1),
        events(end - MINUTE, 10, 0),
        events(end, 0, 7),
    )
    window = {"duration": "1M", "calendar": MONTH}
    apply(application, promised(timeWindow=[window], objectives=[{"target": 0.9}]))
    whole = budget(application, at=end)
    assert whole["window"] == {
        "since": begin.isoformat(),
        "until": end.isoformat(),
        "kind": "calendar",
    }
    assert (whole["good"], whole["bad"]) == (19, 1)
    assert whole["seconds_left"] == pytest.approx((31 * 24 - 1) * 3600 * (0.95 - 0.9))
    half = budget(application, at=begin + timedelta(hours=1))
    assert (half["window"], half["valid"]) == (whole["window"], 10)
    assert half["coverage"] == pytest.approx(1 / 60)
    assert budget(application, at=end + MINUTE)["valid"] == 7


def test_the_timeline_of_a_calendar_falls_from_what_was_declared(application: Application) -> None:
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    store(application, events(begin, 0, 5), events(begin + timedelta(days=2), 95, 0))
    document = promised(
        timeWindow=[{"duration": "1M", "calendar": MONTH | {"timeZone": "UTC"}}],
        objectives=[{"target": 0.9}],
        annotations={"expected-events": "1000"},
    )
    apply(application, document)
    path = "/api/v1/objectives/checkout/timeline"
    ends = []
    for day in (1, 3):
        at = (begin + timedelta(days=day)).isoformat()
        points = application.get(path, params={"at": at}).json()["points"]
        ends.append(points[-1]["remaining"])
    assert ends == [0.95, 0.95]


def test_an_objective_has_further_windows_of_its_own(application: Application) -> None:
    store(application, events(NOON - timedelta(days=8), 0, 1), events(NOON - MINUTE, 1, 0))
    apply(application, promised(annotations={"windows": "7d, 1M@Europe/Dublin"}))
    shown = application.get("/api/v1/objectives/checkout").json()
    assert (shown["window"], shown["windows"]) == ("30d", ["7d", "1M@Europe/Dublin"])
    assert budget(application, window="7d")["bad"] == 0
    calendar = budget(application, window="1M@Europe/Dublin")
    assert (calendar["bad"], calendar["window"]["kind"]) == (1, "calendar")
    assert calendar["window"]["since"] == "2026-11-01T00:00:00+00:00"


@pytest.mark.parametrize("window", ["100Y", "100Y@Asia/Kathmandu", "36500d@UTC"])
def test_a_window_may_reach_back_before_all_telemetry(
    application: Application, window: str
) -> None:
    store(application, events(NOON - MINUTE, 1, 0))
    apply(application, promised(annotations={"no-data": "freeze"}))
    assert budget(application, window=window)["valid"] == 1
    early = datetime(1972, 1, 1, tzinfo=UTC)
    assert budget(application, at=early, window=window)["sli"] is None


def test_a_composite_weighs_its_parts_and_not_their_volume(application: Application) -> None:
    store(
        application,
        events(NOON - MINUTE, 99, 1, "cart"),
        events(NOON - 2 * MINUTE, 5, 5, "payment"),
    )
    apply(application, composite())
    answer = budget(application, window="1h")
    bad = 0.75 * 0.01 + 0.25 * 0.5
    assert answer["sli"] == pytest.approx(1 - bad)
    assert answer["consumed"] == pytest.approx(bad / 0.1)
    assert [(one["name"], one["weight"], one["sli"]) for one in answer["parts"]] == [
        ("cart", 3.0, 0.99),
        ("payment", 1.0, 0.5),
    ]
    assert answer["exhausted_at"] == (NOON - MINUTE).isoformat()
    burn = application.get(
        "/api/v1/objectives/checkout/burn", params={"at": NOON.isoformat()}
    ).json()
    assert burn["tiers"][0]["long_burn"] == pytest.approx(bad / 0.1)


@pytest.mark.parametrize(
    ("annotations", "sli"),
    [
        ({}, 1.0),
        ({"max-delay": "30m", "when-delayed": "Ignore"}, 1.0),
        ({"max-delay": "2h", "when-delayed": "CountAsBad"}, 1.0),
        ({"max-delay": "59m", "when-delayed": "CountAsBad"}, 0.75),
        ({"composite": "journey", "max-delay": "59m", "when-delayed": "CountAsBad"}, 0.0),
    ],
)
def test_a_part_whose_data_are_late_counts_as_the_objective_says(
    application: Application, annotations: dict[str, str], sli: float
) -> None:
    steady = [events(NOON - minute * MINUTE, 1, 0, "cart") for minute in range(1, 61)]
    store(application, *steady)
    apply(application, composite(**annotations))
    assert budget(application, window="1h")["sli"] == pytest.approx(sli)


def test_below_the_minimum_of_events_there_is_no_verdict(application: Application) -> None:
    store(application, events(NOON - MINUTE, 8, 1))
    apply(application, promised(annotations={"minimum-events": "10"}))
    answer = budget(application)
    assert (answer["held_back_by"], answer["valid"], answer["bad"]) == ("minimum_events", 9, 1)
    unknown = ("sli", "consumed", "remaining", "bad_events_left", "seconds_left", "exhausted_at")
    assert [answer[name] for name in unknown] == [None] * 6
    burn = application.get("/api/v1/objectives/checkout/burn").json()
    assert {tier["held_back_by"] for tier in burn["tiers"]} == {"minimum_events"}
    store(application, events(NOON - 2 * MINUTE, 1, 0))
    assert budget(application)["sli"] == 0.9


def test_a_frozen_verdict_is_that_of_the_last_time_with_data(application: Application) -> None:
    store(application, events(NOON - timedelta(hours=3), 9, 1))
    apply(application, promised(annotations={"no-data": "freeze"}))
    quiet = budget(application, window="2h")
    assert (quiet["sli"], quiet["held_back_by"]) == (0.9, None)
    assert quiet["frozen_at"] == (NOON - timedelta(hours=3) + MINUTE).isoformat()
    assert budget(application, window="1h")["sli"] is None


def test_slices_without_data_are_bad_where_the_objective_says_so(application: Application) -> None:
    store(application, events(NOON - 5 * MINUTE, 1, 0))
    goal = TIMESLICES
    apply(application, promised(budgetingMethod="Timeslices", objectives=[goal]))
    assert budget(application, window="1h")["sli"] == 1.0
    document = promised(budgetingMethod="Timeslices", objectives=[goal], annotations={
        "no-data": "bad"})  # fmt: skip
    apply(application, document)
    answer = budget(application, window="1h")
    assert (answer["good"], answer["valid"], answer["coverage"]) == (1, 12, 1 / 12)
    years = budget(application, window="10Y")
    assert (years["good"], years["valid"]) == (1, 10 * 365 * 24 * 12)


def test_late_events_change_the_past_and_the_verdict_of_then(application: Application) -> None:
    store(application, events(NOON - timedelta(days=2), 10, 0))
    apply(application, promised())
    then = NOON - timedelta(days=1)
    assert budget(application, at=then)["sli"] == 1.0
    store(application, events(NOON - timedelta(days=2), 0, 10, "late"))
    late = budget(application, at=then)
    assert (late["sli"], late["exhausted_at"]) == (
        0.5,
        (NOON - timedelta(days=2) + MINUTE).isoformat(),
    )


def test_the_counters_behind_the_exported_rules_are_scraped(application: Application) -> None:
    from slo.exposition import ObjectiveCounters  # noqa: PLC0415 - wired by open_installation

    services = application.services
    services.metrics.registry.register(ObjectiveCounters(services, NOON - 10 * MINUTE))
    store(application, events(NOON - MINUTE, 9, 1), events(NOON - timedelta(hours=1), 0, 5))
    apply(application, promised())
    text = application.get("/metrics").text
    assert 'candor_objective_valid_events_total{objective="checkout"} 10.0' in text
    assert 'candor_objective_bad_events_total{objective="checkout"} 1.0' in text


def test_a_counter_follows_reception_from_the_start_of_the_process(
    application: Application,
) -> None:
    from slo.exposition import ObjectiveCounters  # noqa: PLC0415 - as above

    hour, day = timedelta(hours=1), timedelta(days=1)
    services = application.services
    apply(application, promised())
    store(application, events(NOON - hour, 5, 5), events(NOON, 1, 1))
    counters = ObjectiveCounters(services, NOON)
    counters.begin()
    services.metrics.registry.register(counters)
    assert 'valid_events_total{objective="checkout"} 0.0' in application.get("/metrics").text
    store(application, events(NOON - hour, 2, 3, "late"), events(NOON - 2 * day, 7, 7, "later"))
    text = application.get("/metrics").text
    assert 'candor_objective_valid_events_total{objective="checkout"} 5.0' in text
    assert 'candor_objective_bad_events_total{objective="checkout"} 3.0' in text


def test_a_counter_keeps_what_it_counted_of_days_ago(
    application: Application, clock: FixedClock
) -> None:
    from slo.exposition import ObjectiveCounters  # noqa: PLC0415 - as above

    services = application.services
    services.metrics.registry.register(ObjectiveCounters(services, NOON))
    apply(application, promised())
    store(application, events(NOON, 9, 1))
    for hours in range(1, 60, 7):
        clock.now = NOON + timedelta(hours=hours)
        store(application, events(clock.now, 1, 1, f"after {hours}"))
        text = application.get("/metrics").text
    assert 'candor_objective_valid_events_total{objective="checkout"} 28.0' in text
    assert 'candor_objective_bad_events_total{objective="checkout"} 10.0' in text
    new = promised()
    new["metadata"]["name"] = "new"
    apply(application, new)
    store(application, events(NOON, 5, 5, "too late"))
    text = application.get("/metrics").text
    assert 'candor_objective_valid_events_total{objective="checkout"} 28.0' in text
    assert 'candor_objective_valid_events_total{objective="new"} 8.0' in text


def test_scrapes_that_come_at_once_count_nothing_twice(
    application: Application, clock: FixedClock
) -> None:
    from slo.exposition import ObjectiveCounters  # noqa: PLC0415 - as above

    counters = ObjectiveCounters(application.services, NOON)
    apply(application, promised())
    store(application, events(NOON, 9, 1))
    list(counters.collect())
    clock.pass_by(timedelta(hours=30))
    with ThreadPoolExecutor(4) as pool:
        scraped = list(pool.map(lambda _: list(counters.collect()), range(8)))
    assert {valid.samples[0].value for _, valid in scraped} == {10.0}


def test_a_counter_goes_on_when_its_objective_counts_something_else(
    application: Application,
) -> None:
    from slo.exposition import ObjectiveCounters  # noqa: PLC0415 - as above

    def scraped() -> str:
        lines = application.get("/metrics").text.splitlines()
        (line,) = [one for one in lines if one.startswith("candor_objective_valid_events_total{")]
        return line.partition(" ")[2]

    services = application.services
    services.metrics.registry.register(ObjectiveCounters(services, NOON - 10 * MINUTE))
    store(application, events(NOON - MINUTE, 9, 1), events(NOON - MINUTE, 2, 0, "payment"))
    apply(application, promised())
    assert scraped() == "12.0"
    ratio = {"total": source(filter={"step": "payment"}, good={"outcome": "ok"})}
    indicator = {"metadata": {"name": "sli"}, "spec": {"ratioMetric": ratio}}
    apply(application, promised(indicator=indicator))
    assert scraped() == "12.0"
    store(application, events(NOON - 2 * MINUTE, 3, 0, "payment"))
    assert scraped() == "15.0"


@pytest.mark.parametrize("store_away", ["state", "telemetry"])
def test_a_scrape_goes_on_while_a_store_is_away(application: Application, store_away: str) -> None:
    from slo.exposition import ObjectiveCounters  # noqa: PLC0415 - as above

    services = application.services
    services.metrics.registry.register(ObjectiveCounters(services, NOON))
    apply(application, promised())
    assert "candor_objective_valid_events_total{" in application.get("/metrics").text
    if store_away == "telemetry":
        services.telemetry.command("DROP TABLE events_by_minute")
    else:
        with services.engine.begin() as connection:
            connection.execute(sql("DROP TABLE objectives"))
    answer = application.get("/metrics")
    assert answer.status_code == 200
    assert "candor_objective_valid_events_total{" not in answer.text
    assert "candor_events_accepted_total" in answer.text
