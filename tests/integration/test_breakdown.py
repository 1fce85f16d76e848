"""Where a budget went, and a budget for each value of a field, over real stores."""

from collections import Counter
from datetime import timedelta
from fractions import Fraction

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec import Raw

from candor.kernel.errors import InvalidInputError
from candor.kernel.telemetry_store import TelemetryStore
from collector.event import Event
from slo.breakdown import MOST_VALUES, Asking, read_contributions, read_values
from slo.evaluation import read_budget
from slo.objective import Objective
from slo.openslo import has_errors, read_openslo
from slo.window import MINUTE, Window
from tests.integration.test_objectives import store
from tests.support.asgi import Application
from tests.support.stores import NOON, forget_events
from tests.unit.slo.test_openslo import objective, source

BY_ATTRIBUTE = "attributes.plan"


def promised(**annotations: str) -> Objective:
    document = objective(objectives=[{"target": 0.9}])
    document["metadata"]["annotations"] = annotations
    objectives, findings = read_openslo({"f": yaml.safe_dump(document)})
    assert not has_errors(findings), findings
    return objectives[0]


def event(number: int, minute: int, outcome: str, channel: str, plan: str) -> Event:
    attributes = {"plan": Raw(f'"{plan}"'.encode())} if plan else {}
    at = NOON - minute * MINUTE
    return Event(
        str(number),
        *("native", "x", "", at, NOON, "checkout"),
        outcome=outcome,
        channel=channel,
        attributes=attributes,
    )


SENT = st.lists(
    st.tuples(
        st.integers(1, 60),
        st.sampled_from(("ok", "error")),
        st.sampled_from(("", "web", "app")),
        st.sampled_from(("", "pro", "free")),
    ),
    max_size=40,
)
GAPS = (Window(NOON - 20 * MINUTE, NOON - 10 * MINUTE),)


@pytest.mark.parametrize(("by", "place"), [("channel", 2), (BY_ATTRIBUTE, 3)])
@given(sent=SENT)
@hypothesis_settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_contributions_and_budgets_by_value_are_what_counting_by_hand_gives(
    embedded_telemetry: TelemetryStore, by: str, place: int, sent: list[tuple[int, str, str, str]]
) -> None:
    forget_events(embedded_telemetry)
    store(embedded_telemetry, [event(number, *one) for number, one in enumerate(sent)])
    kept = [one for one in sent if not 10 < one[0] <= 20]
    valid = Counter(str(one[place]) for one in kept)
    bad = Counter(str(one[place]) for one in kept if one[1] != "ok")
    found = read_contributions(embedded_telemetry, promised(), by, Asking(NOON, gaps=GAPS))
    assert {one.value: (one.counts.valid, one.counts.bad) for one in found.contributions} == {
        value: (valid[value], bad[value]) for value in valid
    }
    whole = read_budget(embedded_telemetry, promised(), NOON, gaps=GAPS)
    consumed = sum((one.consumed or Fraction(0) for one in found.contributions), Fraction(0))
    assert consumed == (whole.budget.consumed or 0)
    readings, more = read_values(embedded_telemetry, promised(), by, Asking(NOON, gaps=GAPS))
    assert more == 0
    assert {value: reading.events.bad for value, reading in readings} == {
        value: bad[value] for value in valid
    }


def test_beyond_the_twenty_greatest_the_rest_is_told_together(
    embedded_telemetry: TelemetryStore,
) -> None:
    sent = [
        event(number, 1 + number % 50, "error" if number % 2 else "ok", f"c{number % 25}", "")
        for number in range(1000)
    ]
    store(embedded_telemetry, sent)
    found = read_contributions(embedded_telemetry, promised(), "channel", Asking(NOON))
    assert (len(found.contributions), found.other_values) == (MOST_VALUES, 5)
    assert found.others is not None
    assert found.others.counts.valid == 200
    values, more = read_values(embedded_telemetry, promised(), "channel", Asking(NOON))
    assert (len(values), more) == (MOST_VALUES, 5)


@pytest.mark.parametrize("combination", ["weighted", "journey"])
def test_the_parts_of_a_composite_use_its_budget_by_their_weight(
    embedded_telemetry: TelemetryStore, combination: str
) -> None:
    def part(channel: str, weight: int) -> dict[str, object]:
        ratio = {"total": source(filter={"channel": channel}, good={"outcome": "ok"})}
        indicator = {"metadata": {"name": channel}, "spec": {"ratioMetric": ratio}}
        return {"target": 0.9, "compositeWeight": weight, "indicator": indicator}

    document = objective(indicator=None, objectives=[part("web", 3), part("app", 1)])
    document["metadata"]["annotations"] = {"candor.dev/composite": combination}
    (composite,), _ = read_openslo({"f": yaml.safe_dump(document)})
    outcomes = ["error", "ok", "ok", "ok"], ["error"] + 9 * ["ok"]
    sent = [
        event(place * 100 + number, 5, outcome, channel, "")
        for place, channel in enumerate(("web", "app"))
        for number, outcome in enumerate(outcomes[place])
    ]
    store(embedded_telemetry, sent)
    found = read_contributions(embedded_telemetry, composite, "channel", Asking(NOON))
    consumed = {one.value: one.consumed for one in found.contributions}
    # A quarter of the web's events by a weight of 3/4, a tenth of the app's by 1/4; or 1 of 14
    # each, where what may be bad of a journey of two is 1 - 0.9 * 0.9.
    by_weight = {"web": Fraction(3, 16) * 10, "app": Fraction(1, 40) * 10}
    by_number = dict.fromkeys(("web", "app"), Fraction(1, 14) / Fraction(19, 100))
    assert consumed == (by_weight if combination == "weighted" else by_number)
    if combination == "weighted":
        whole = read_budget(embedded_telemetry, composite, NOON).budget.consumed
        assert sum(by_weight.values()) == whole


def test_where_all_is_left_out_there_is_nothing_to_tell(
    embedded_telemetry: TelemetryStore,
) -> None:
    store(embedded_telemetry, [event(1, 5, "error", "web", "")])
    everything = (Window(NOON - timedelta(days=31), NOON),)
    found = read_contributions(
        embedded_telemetry, promised(), "channel", Asking(NOON, gaps=everything)
    )
    assert (found.contributions, found.total.valid) == ((), 0)


@pytest.mark.parametrize("by", ["duration_ms", "nonsense", "attributes."])
def test_only_texts_tell_events_apart(embedded_telemetry: TelemetryStore, by: str) -> None:
    with pytest.raises(InvalidInputError, match=r"Events can be told apart by .*attributes\.KEY"):
        read_contributions(embedded_telemetry, promised(), by, Asking(NOON))


def test_an_objective_that_names_a_field_tells_each_value(application: Application) -> None:
    store(
        application.services.telemetry,
        [event(1, 5, "error", "web", "pro"), event(2, 5, "ok", "app", "")],
    )
    document = objective(objectives=[{"target": 0.9}])
    document["metadata"]["annotations"] = {"candor.dev/by": "channel"}
    applied = application.post(
        "/api/v1/objectives/apply",
        content=yaml.safe_dump(document),
        headers={"content-type": "application/yaml"},
    )
    assert applied.status_code == 200, applied.json()
    budget = application.get("/api/v1/objectives/checkout/budget").json()
    assert [(one["value"], one["valid"], one["bad"]) for one in budget["values"]] == [
        ("app", 1, 0),
        ("web", 1, 1),
    ]
    asked = f"/api/v1/objectives/checkout/contribution?by={BY_ATTRIBUTE}"
    found = application.get(asked).json()
    assert [(one["value"], one["share_of_bad"]) for one in found["values"]] == [
        ("pro", 1.0),
        (None, 0.0),
    ]
    assert application.get("/api/v1/objectives/checkout/contribution?by=x").status_code == 422
    assert application.get("/api/v1/objectives/checkout/contribution").status_code == 422


def test_a_field_that_is_none_is_a_fault_of_the_document() -> None:
    document = objective()
    document["metadata"]["annotations"] = {"candor.dev/by": "duration_ms"}
    _, findings = read_openslo({"f": yaml.safe_dump(document)})
    assert [(one.rule, one.path) for _, one in findings if one.severity == "error"] == [
        ("annotation", "metadata.annotations.candor.dev/by")
    ]
