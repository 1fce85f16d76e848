"""Freshness: whether something came lately enough, minute by minute."""

from datetime import timedelta
from typing import Any

import pytest
import yaml

from candor.kernel.errors import InvalidInputError
from candor.kernel.telemetry_store import TelemetryStore
from collector.event import Event
from slo.breakdown import Asking, read_contributions, read_values
from slo.definition import definition_of, objective_from
from slo.evaluation import read_budget
from slo.objective import Objective
from slo.openslo import read_openslo, read_set
from slo.rules import prometheus_rules
from slo.window import MINUTE
from tests.integration.test_objectives import store
from tests.support.stores import NOON
from tests.unit.slo.test_openslo import threshold


def document(**goal: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML
    asked = {"target": 0.9, "op": "lte", "value": 10} | goal
    return threshold(asked, signal="events", filter={"journey": "feed"}, value="freshness_minutes")


def promised() -> Objective:
    objectives, findings = read_openslo({"f": yaml.safe_dump(document())})
    assert [one for _, one in findings if one.severity == "error"] == []
    return objectives[0]


def came(*minutes: int, channel: str = "web") -> list[Event]:
    return [
        Event(
            f"{channel}{minute}",
            *("native", "x", "", NOON - minute * MINUTE, NOON, "feed"),
            channel=channel,
        )
        for minute in minutes
    ]


def test_a_minute_is_good_while_the_newest_event_is_young_enough(
    telemetry: TelemetryStore,
) -> None:
    store(telemetry, came(60, 25))
    events = read_budget(telemetry, promised(), NOON).events
    # Measured since the first event an hour ago; ten good minutes follow each of the two.
    assert (events.good, events.valid) == (20, 60)


def test_a_source_that_was_silent_for_thirty_days_is_not_measured(
    embedded_telemetry: TelemetryStore,
) -> None:
    store(embedded_telemetry, came(*[int(timedelta(days=61) / MINUTE)]))
    reading = read_budget(embedded_telemetry, promised(), NOON)
    assert (reading.held_back_by, reading.events.valid) == ("no_data", 0)


def test_each_value_of_a_field_has_a_freshness_of_its_own_and_no_share_of_the_whole(
    embedded_telemetry: TelemetryStore,
) -> None:
    store(embedded_telemetry, [*came(20), *came(5, channel="app")])
    values, _ = read_values(embedded_telemetry, promised(), "channel", Asking(NOON))
    assert [(value, one.events.good, one.events.valid) for value, one in values] == [
        ("app", 5, 5),
        ("web", 10, 20),
    ]
    with pytest.raises(InvalidInputError, match="counts minutes"):
        read_contributions(embedded_telemetry, promised(), "channel", Asking(NOON))


@pytest.mark.parametrize(
    ("goal", "path"),
    [
        ({"value": 2.5}, "spec.objectives[0].value"),
        ({"value": 0}, "spec.objectives[0].value"),
        ({"value": 43201}, "spec.objectives[0].value"),
        ({"op": "gt"}, "spec.objectives[0].op"),
    ],
)
def test_an_age_is_a_whole_number_of_minutes(goal: dict[str, Any], path: str) -> None:
    _, findings = read_openslo({"f": yaml.safe_dump(document(**goal))})
    assert [one.path for _, one in findings if one.severity == "error"] == [path]


def test_it_comes_back_from_its_definition_and_is_left_out_of_exported_rules() -> None:
    assert objective_from(definition_of(promised())) == promised()
    file, left_out = prometheus_rules(read_set({"f": yaml.safe_dump(document())}))
    assert file["groups"] == []
    assert "freshness cannot be exported" in left_out[0]
