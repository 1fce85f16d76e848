import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.errors import OverloadedError
from candor.kernel.metrics import Metrics, new_metrics
from candor.kernel.settings import SpoolSettings
from collector.pressure import Kind, Pressure
from tests.support.stores import NOON, FixedClock

KINDS: tuple[Kind, ...] = ("debug_logs", "rum", "traces", "other")


def pressure(
    since: datetime | None = None, metrics: Metrics | None = None, **settings: object
) -> Pressure:
    effective = SpoolSettings.model_validate(
        {"max_bytes": 10_000, "min_free_disk_bytes": 0} | settings
    )
    return Pressure(
        Path(),
        effective,
        FixedClock(),
        metrics or new_metrics(),
        waiting_since=lambda: since,
        dice=random.Random(1),
    )


def admitted(on: Pressure, source: str = "") -> list[Kind]:
    return [kind for kind in KINDS if not refusal(on, source, kind)]


def refusal(on: Pressure, source: str = "", kind: Kind = "other") -> str:
    try:
        on.admit(source, kind)
    except OverloadedError as error:
        return error.detail
    return ""


@pytest.mark.parametrize(
    ("waiting_bytes", "kinds"),
    [
        (6_999, KINDS),
        (7_000, KINDS[1:]),
        (8_000, KINDS[2:]),
        (9_000, KINDS[3:]),
        (9_999, KINDS[3:]),
        (10_000, ()),
    ],
)
def test_kinds_are_shed_one_after_another_and_at_the_hard_limit_everything(
    waiting_bytes: int, kinds: tuple[Kind, ...]
) -> None:
    full = pressure()
    full.enter("", waiting_bytes)
    assert admitted(full) == list(kinds)


@pytest.mark.parametrize(("hours", "kinds"), [(4, KINDS), (4.2, KINDS[1:]), (6, ())])
def test_age_counts_like_bytes(hours: float, kinds: tuple[Kind, ...]) -> None:
    old = pressure(since=NOON - timedelta(hours=hours), max_age="PT6H")
    assert admitted(old) == list(kinds)


def test_one_source_cannot_take_the_room_of_the_others() -> None:
    shared = pressure(source_bytes=100, source_budgets={"big": 200})
    for source in ("big", "small"):
        shared.enter(source, 100)
    assert "this key" in refusal(shared, "small")
    assert refusal(shared, "big") == refusal(shared, "other") == ""
    shared.leave({"small": 1})
    assert refusal(shared, "small") == ""


def test_what_waits_of_one_source_may_be_too_old_while_others_may_send() -> None:
    aged = pressure(source_age="PT1H", source_ages={"slow": "PT3H"})
    for source in ("slow", "quick"):
        aged.enter(source, 20)
        aged.hold("first", source, NOON - timedelta(hours=2))
        aged.hold("second", source, NOON - timedelta(minutes=1))
        aged.hold("first", source, NOON)
    assert "this key's telemetry is too old" in refusal(aged, "quick")
    assert refusal(aged, "slow") == refusal(aged, "other") == ""
    aged.leave({"quick": 10, "slow": 10}, "first")
    assert refusal(aged, "quick") == ""
    aged.leave({"quick": 10}, "second")
    assert refusal(aged, "quick") == ""


def test_an_age_that_is_just_reached_is_over_the_budget() -> None:
    aged = pressure(source_ages={"a": "PT1H"})
    aged.hold("first", "a", NOON - timedelta(hours=1))
    assert refusal(aged, "a")


def test_a_disk_that_is_low_or_does_not_say_is_full(tmp_path: Path) -> None:
    assert "nearly full" in refusal(pressure(min_free_disk_bytes=2**62))
    gone = Pressure(
        tmp_path / "missing",
        SpoolSettings(),
        FixedClock(),
        new_metrics(),
        waiting_since=lambda: None,
        dice=random.Random(1),
    )
    assert "nearly full" in refusal(gone)


def test_refusals_are_counted_by_reason_and_kind() -> None:
    metrics = new_metrics()
    full = pressure(metrics=metrics)
    full.enter("", 9_000)
    refusal(full, kind="traces")
    full.count_shed("debug_logs", 3)
    value = metrics.registry.get_sample_value
    told = {"reason": "shed", "kind": "traces"}
    assert value("candor_spool_refusals_total", told) == 1
    assert value("candor_events_shed_total", {"kind": "debug_logs"}) == 3
    assert value("candor_source_refusals_total", {"source": "other", "reason": "shed"}) == 1


@given(
    st.integers(1, 10**9),
    st.lists(st.tuples(st.integers(1, 10**6), st.floats(0.001, 60)), min_size=1, max_size=5),
)
def test_retry_after_is_the_backlog_over_the_drain_rate_within_bounds(
    waiting_bytes: int, loads: list[tuple[int, float]]
) -> None:
    backlog = pressure()
    backlog.enter("", waiting_bytes)
    drained = seconds = 0.0
    for size, took in loads:
        backlog.drained(size, took)
        drained, seconds = drained * 0.8 + size, seconds * 0.8 + took
    needed = waiting_bytes * seconds / drained
    error = backlog.overloaded("Full.")
    told = error.retry_after.total_seconds()
    assert min(max(needed * 0.79, 1), 300) <= told <= min(max(needed * 1.21, 1), 300)
    assert error.resets_at == NOON + error.retry_after


def test_a_store_that_fails_makes_the_wait_longer() -> None:
    backlog = pressure()
    backlog.enter("", 10_000)
    backlog.drained(1_000, 1)
    before = backlog.overloaded("Full.").retry_after
    backlog.drained(0, 10)
    assert backlog.overloaded("Full.").retry_after > 3 * before


def test_those_who_are_sent_away_do_not_all_return_at_once() -> None:
    backlog = pressure()
    assert len({backlog.overloaded("Full.").retry_after for _ in range(20)}) > 10
