"""Corrections of slices, calendars and frozen verdicts, and by label, over real events."""

from datetime import timedelta
from typing import Any

import pytest

from slo.window import MINUTE
from tests.integration.test_budgeting import (
    RATIO,
    TIMESLICES,
    apply,
    budget,
    composite,
    events,
    promised,
    store,
)
from tests.support.asgi import Application
from tests.support.stores import NOON


def correct(application: Application, since: int, until: int, **fields: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave out the minutes from ``since`` to ``until`` before noon."""
    body = {
        "since": (NOON - since * MINUTE).isoformat(),
        "until": (NOON - until * MINUTE).isoformat(),
        "category": "maintenance",
        "reason": "the database moved",
    } | (fields or {"objective": "checkout"})
    answer = application.post("/api/v1/corrections", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("method", "goal", "sli", "coverage"),
    [
        ("Occurrences", {"target": 0.9}, 90 / 101, 2 / 55),
        ("Timeslices", TIMESLICES, 1 / 2, 2 / 11),
        ("RatioTimeslices", RATIO, (0.9 + 0) / 2, 2 / 11),
    ],
)
def test_every_method_leaves_out_what_is_corrected(
    application: Application, method: str, goal: dict[str, Any], sli: float, coverage: float
) -> None:
    store(
        application,
        events(NOON - 30 * MINUTE, 90, 10),
        events(NOON - 20 * MINUTE, 0, 7),
        events(NOON - 10 * MINUTE, 0, 1),
    )
    apply(application, promised(budgetingMethod=method, objectives=[goal]))
    correct(application, 20, 15)
    answer = budget(application, window="1h")
    assert (answer["sli"], answer["coverage"]) == (pytest.approx(sli), pytest.approx(coverage))
    assert answer["corrected_seconds"] == 300
    assert answer["seconds_left"] == pytest.approx((3600 - 300) * (sli - 0.9))
    asked = {"at": NOON.isoformat()}
    burn = application.get("/api/v1/objectives/checkout/burn", params=asked).json()
    assert burn["tiers"][0]["long_burn"] == pytest.approx((1 - sli) / 0.1)
    points = application.get(
        "/api/v1/objectives/checkout/timeline", params=asked | {"window": "1h"}
    ).json()["points"]
    assert sum(point["valid"] for point in points) == 101
    assert points[-1]["remaining"] == pytest.approx(answer["remaining"])


def test_silence_in_a_correction_is_not_bad(application: Application) -> None:
    store(application, events(NOON - 5 * MINUTE, 1, 0))
    annotations = {"no-data": "bad"}
    document = promised(
        budgetingMethod="Timeslices", objectives=[TIMESLICES], annotations=annotations
    )
    apply(application, document)
    correct(application, 60, 10)
    answer = budget(application, window="1h")
    assert (answer["good"], answer["valid"], answer["coverage"]) == (1, 2, 0.5)


def test_a_frozen_verdict_leaves_out_what_was_corrected_then(application: Application) -> None:
    store(application, events(NOON - 180 * MINUTE, 9, 1), events(NOON - 170 * MINUTE, 0, 5))
    apply(application, promised(annotations={"no-data": "freeze"}))
    correct(application, 170, 165)
    quiet = budget(application, window="2h")
    assert (quiet["sli"], quiet["frozen_at"]) == (0.9, (NOON - 179 * MINUTE).isoformat())


def test_a_composite_is_corrected_in_all_its_parts(application: Application) -> None:
    store(
        application,
        events(NOON - 20 * MINUTE, 0, 4, "cart"),
        events(NOON - 10 * MINUTE, 9, 1, "cart"),
        events(NOON - 10 * MINUTE, 5, 5, "payment"),
    )
    apply(application, composite())
    correct(application, 21, 19)
    answer = budget(application, window="1h")
    assert answer["sli"] == pytest.approx(0.75 * 0.9 + 0.25 * 0.5)
    assert [part["valid"] for part in answer["parts"]] == [10, 10]


def test_the_gate_and_previews_follow_the_calendar(application: Application) -> None:
    month = {"startTime": "2020-01-01 00:00:00", "timeZone": "UTC"}
    window = [{"duration": "1M", "isRolling": False, "calendar": month}]
    store(application, events(NOON - timedelta(days=25), 0, 5), events(NOON - MINUTE, 10, 0))
    apply(application, promised(timeWindow=window))
    assert application.get("/api/v1/gate?service=shop").json()["decision"] == "go"
    made = correct(application, 5, -60)
    (preview,) = made["preview"]
    assert preview["remaining_before"] == 1.0
    assert preview["corrected_seconds"] == 360.0


def test_a_selector_names_labels(application: Application) -> None:
    store(application, events(NOON - MINUTE, 1, 1))
    document = promised()
    document["metadata"]["labels"] = {"team": ["shop", "pay"]}
    apply(application, document)
    assert correct(application, 2, 0, selector={"team": "web"})["objectives"] == 0
    assert budget(application)["valid"] == 2
    assert correct(application, 2, 0, selector={"team": "pay"})["objectives"] == 1
    assert budget(application)["valid"] == 0
