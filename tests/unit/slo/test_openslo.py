from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from slo.indicator import Condition, Threshold
from slo.openslo import finding_document, has_errors, read_openslo

SOURCE = "{metricSource: {type: candor, spec: {signal: events, filter: {journey: checkout}}}}"


def source(**spec: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML
    full = {"signal": "events", "filter": {"journey": "checkout"}} | spec
    return {"metricSource": {"type": "candor", "spec": full}}


def objective(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML
    spec = {
        "service": "shop",
        "budgetingMethod": "Occurrences",
        "timeWindow": [{"duration": "30d", "isRolling": True}],
        "objectives": [{"target": 0.999}],
        "indicator": {
            "metadata": {"name": "sli"},
            "spec": {"ratioMetric": {"total": source(good={"outcome": "ok"})}},
        },
    }
    for name, value in changes.items():
        if value is None:
            spec.pop(name, None)
        else:
            spec[name] = value
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": "checkout"},
        "spec": spec,
    }


def read(*documents: Any) -> tuple[list[Any], list[tuple[str, str, str]]]:  # noqa: ANN401 - as above
    text = yaml.safe_dump_all(documents)
    objectives, findings = read_openslo({"f.yaml": text})
    return objectives, [(one.rule, one.path, one.severity) for _, one in findings]


def ratio(**parts: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    return objective(indicator={"metadata": {"name": "sli"}, "spec": {"ratioMetric": parts}})


def threshold(goal: dict[str, Any], **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    metric = {"thresholdMetric": source(**spec)}
    indicator = {"metadata": {"name": "sli"}, "spec": metric}
    return objective(indicator=indicator, objectives=[goal])


def test_a_ratio_objective_is_read() -> None:
    (found,), findings = read(objective())
    assert findings == []
    assert (found.name, found.service, found.target) == ("checkout", "shop", Decimal("0.999"))
    assert found.window.days == 30
    assert found.budget == Decimal("0.001")
    assert found.indicator.valid == (Condition("journey", "any", ("checkout",)),)
    assert found.indicator.good == (Condition("outcome", "any", ("ok",)),)


def test_good_and_bad_may_be_sources_of_their_own() -> None:
    (good,), _ = read(ratio(good=source(filter={"outcome": "ok"}), total=source()))
    (bad,), _ = read(ratio(bad=source(good={"outcome": "error"}), total=source()))
    assert not good.indicator.inverted
    assert bad.indicator.inverted
    assert Condition("outcome", "any", ("error",)) in bad.indicator.good


def test_a_threshold_takes_its_limit_from_the_objective() -> None:
    (found,), findings = read(
        threshold({"target": 0.95, "op": "lte", "value": 250}, value="duration_ms")
    )
    assert findings == []
    assert found.indicator.threshold == Threshold("duration_ms", "lte", 250.0)


def test_several_objectives_are_numbered() -> None:
    goals = [{"target": 0.9, "op": "lte", "value": 250}, {"target": 0.99, "op": "lt", "value": 1}]
    document = threshold(goals[0], value="duration_ms")
    document["spec"]["objectives"] = goals
    objectives, _ = read(document)
    assert [one.name for one in objectives] == ["checkout-1", "checkout-2"]


def test_a_reference_reaches_another_text_and_a_missing_one_is_said() -> None:
    slo = yaml.safe_dump(objective(indicator=None, indicatorRef="shared"))
    sli = yaml.safe_dump(
        {
            "apiVersion": "openslo/v1",
            "kind": "SLI",
            "metadata": {"name": "shared"},
            "spec": {"ratioMetric": {"total": source(good={"outcome": "ok"})}},
        }
    )
    objectives, findings = read_openslo({"a": slo, "b": sli})
    assert (len(objectives), findings) == (1, [])
    objectives, findings = read_openslo({"a": slo})
    assert (objectives, findings[0][1].rule) == ([], "reference")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"channel": ["web", "app"]}, [Condition("channel", "any", ("web", "app"))]),
        ({"attributes.paid": True}, [Condition("attributes.paid", "any", ("true",))]),
        ({"attributes.n": 3}, [Condition("attributes.n", "any", ("3",))]),
        ({"duration_ms": {"gt": 1, "lte": 2.5}}, [
            Condition("duration_ms", "gt", (1.0,)), Condition("duration_ms", "lte", (2.5,)),
        ]),
        ({"duration_ms": 7}, [Condition("duration_ms", "any", (7,))]),
        ({"step": {"ne": "x"}}, [Condition("step", "ne", ("x",))]),
        ({"step": {"prefix": "x"}}, [Condition("step", "prefix", ("x",))]),
        ({"error_code": {"exists": False}}, [Condition("error_code", "exists", (False,))]),
    ],
)  # fmt: skip
def test_a_filter_compares_as_it_is_written(
    conditions: dict[str, Any], expected: list[Condition]
) -> None:
    (found,), findings = read(ratio(total=source(filter=conditions, good={"outcome": "ok"})))
    assert findings == []
    assert sorted(found.indicator.valid, key=str) == sorted(expected, key=str)


FAULTS: list[tuple[Any, str, str]] = [
    ({"apiVersion": "openslo/v2"}, "api-version", "apiVersion"),
    ({"apiVersion": "openslo/v1", "kind": "Slo"}, "kind", "kind"),
    ({"apiVersion": "openslo/v1"}, "kind", ""),
    ([1], "type", ""),
    (objective() | {"metadata": {"name": "Check Out"}}, "format", "metadata.name"),
    (objective() | {"metadata": {}}, "required", "metadata"),
    (objective() | {"metadata": None}, "required", ""),
    (objective() | {"spec": None}, "required", ""),
    (objective() | {"status": 1}, "unknown-field", "status"),
    (objective() | {"metadata": {"name": "a", "displayName": "x" * 64}}, "length",
     "metadata.displayName"),
    (objective() | {"metadata": {"name": "a", "labels": {"-": "x"}}}, "format",
     "metadata.labels.-"),
    (objective() | {"metadata": {"name": "a", "labels": {"team": [{}]}}}, "type",
     "metadata.labels.team[0]"),
    (objective() | {"metadata": {"name": "a", "annotations": {"x": [1]}}}, "type",
     "metadata.annotations.x"),
    (objective(service=None), "required", "spec"),
    (objective(description="x" * 1051), "length", "spec.description"),
    (objective(budgetingMethod=None), "required", "spec"),
    (objective(budgetingMethod="Guess"), "one-of", "spec.budgetingMethod"),
    (objective(timeWindow=[{"duration": "1d", "isRolling": True}] * 2), "required",
     "spec.timeWindow"),
    (objective(timeWindow=[{"isRolling": True}]), "required", "spec.timeWindow[0]"),
    (objective(timeWindow=[{"duration": "30x", "isRolling": True}]), "format",
     "spec.timeWindow[0].duration"),
    (objective(timeWindow=[{"duration": "1d"}]), "required", "spec.timeWindow[0]"),
    (objective(timeWindow=[{"duration": "1d", "isRolling": "maybe"}]), "type",
     "spec.timeWindow[0].isRolling"),
    (objective(timeWindow=[{"duration": "1M", "calendar": {"timeZone": "UTC"}}]), "required",
     "spec.timeWindow[0].calendar"),
    (objective(timeWindow=[{"duration": "1d", "isRolling": True, "calendar": {"a": 1}}]),
     "one-of", "spec.timeWindow[0].calendar"),
    (objective(objectives=None), "required", "spec"),
    (objective(objectives=[]), "required", "spec.objectives"),
    (objective(objectives={"target": 0.9}), "type", "spec.objectives"),
    (objective(objectives=[{"target": 1}]), "range", "spec.objectives[0].target"),
    (objective(objectives=[{"target": "high"}]), "type", "spec.objectives[0].target"),
    (objective(objectives=[{"target": float("inf")}]), "type", "spec.objectives[0].target"),
    (objective(objectives=[{"target": 99.9}]), "range", "spec.objectives[0].target"),
    (objective(objectives=[{"targetPercent": 100}]), "range", "spec.objectives[0].targetPercent"),
    (objective(objectives=[{"target": 0.9, "targetPercent": 90}]), "one-of", "spec.objectives[0]"),
    (objective(objectives=[{}]), "one-of", "spec.objectives[0]"),
    (objective(objectives=[{"target": 0.9, "indicatorRef": "x"}]), "one-of", "spec.indicator"),
    (objective(indicator=None), "one-of", "spec"),
    (objective(indicatorRef="x"), "one-of", "spec.indicatorRef"),
    (objective(indicator=None, indicatorRef="X y"), "format", "spec.indicatorRef"),
    (objective(indicator={"metadata": {"name": "a"}}), "required", "spec.indicator"),
    (objective(indicator={"metadata": {"name": "a"}, "spec": {}}), "one-of",
     "spec.indicator.spec"),
    (ratio(total=source()), "one-of", "spec.indicator.spec.ratioMetric"),
    (ratio(good=source()), "one-of", "spec.indicator.spec.ratioMetric"),
    (ratio(raw=source(), rawType="success"), "unsupported", "spec.indicator.spec.ratioMetric"),
    (ratio(good=source(), bad=source(), total=source()), "one-of",
     "spec.indicator.spec.ratioMetric"),
    (ratio(counter=3, total=source(good={"outcome": "ok"})), "type",
     "spec.indicator.spec.ratioMetric.counter"),
    (ratio(good=source(filter={}), total=source()), "required",
     "spec.indicator.spec.ratioMetric.good"),
    (ratio(good={"metricSource": {"type": "x"}}, total=source()), "required",
     "spec.indicator.spec.ratioMetric.good.metricSource"),
    (ratio(good={"metricSource": {"type": "x", "spec": {"a": 1}}}, total=source()), "one-of",
     "spec.indicator.spec.ratioMetric"),
    (ratio(good={"metricSource": {"spec": {"a": 1}}}, total=source()), "required",
     "spec.indicator.spec.ratioMetric.good.metricSource"),
    (ratio(total={"metricSource": {"type": "candor"}}), "required",
     "spec.indicator.spec.ratioMetric.total.metricSource"),
    (ratio(total={"x": 1}), "unknown-field", "spec.indicator.spec.ratioMetric.total.x"),
    (ratio(total={"metricSource": {"type": "candor", "metricSourceRef": "a", "spec": {
        "signal": "events", "good": {"outcome": "ok"}}}}), "reference",
     "spec.indicator.spec.ratioMetric.total.metricSource.metricSourceRef"),
    (ratio(total=source(signal="smoke", good={"outcome": "ok"})), "one-of",
     "spec.indicator.spec.ratioMetric.total.metricSource.spec.signal"),
    (ratio(total=source(signal=None, good={"outcome": "ok"})), "required",
     "spec.indicator.spec.ratioMetric.total.metricSource.spec"),
    (threshold({"target": 0.9}, value="duration_ms"), "required", "spec.objectives[0]"),
    (threshold({"target": 0.9, "op": "eq", "value": 1}, value="duration_ms"), "one-of",
     "spec.objectives[0].op"),
    (threshold({"target": 0.9, "op": "lte", "value": 1}), "required",
     "spec.indicator.spec.thresholdMetric"),
    (threshold({"target": 0.9, "op": "lte", "value": 1}, value="step"), "one-of",
     "spec.indicator.spec.thresholdMetric.metricSource.spec.value"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "rule", "path"), FAULTS)
def test_a_fault_is_found_by_rule_and_path(document: Any, rule: str, path: str) -> None:  # noqa: ANN401 - any YAML
    objectives, findings = read(document)
    assert (rule, path, "error") in findings
    assert objectives == []


@pytest.mark.parametrize(
    ("conditions", "rule", "place"),
    [
        ({"jorney": "x"}, "unknown-field", "jorney"),
        ({"attributes.": "x"}, "unknown-field", "attributes."),
        ({"step": {"like": "x"}}, "one-of", "step.like"),
        ({"step": {"gt": 3}}, "type", "step.gt"),
        ({"step": {"exists": "yes"}}, "type", "step.exists"),
        ({"step": []}, "required", "step"),
        ({"step": [[1]]}, "type", "step[0]"),
        ({"step": {"ne": [1]}}, "type", "step.ne"),
        ({"duration_ms": "long"}, "type", "duration_ms"),
        ({"duration_ms": {"gt": "long"}}, "type", "duration_ms.gt"),
        ({"duration_ms": {"prefix": 1}}, "type", "duration_ms.prefix"),
    ],
)
def test_a_fault_of_a_filter_is_found(conditions: dict[str, Any], rule: str, place: str) -> None:
    _, findings = read(ratio(total=source(filter=conditions, good={"outcome": "ok"})))
    path = f"spec.indicator.spec.ratioMetric.total.metricSource.spec.filter.{place}"
    assert (rule, path, "error") in findings


def test_a_fault_names_its_line() -> None:
    text = "apiVersion: openslo/v1\nkind: SLO\nmetadata:\n  name: Not A Name\nspec: {}\n"
    _, findings = read_openslo({"f.yaml": text})
    name, finding = findings[0]
    assert (name, finding.line, finding.rule) == ("f.yaml", 4, "format")
    assert finding_document(name, finding)["file"] == "f.yaml"
    assert has_errors(findings)


@pytest.mark.parametrize(
    ("text", "line"), [("a: [1\nb: 2\n", 2), ("", 1), ("# only a comment\n", 1), ("a: \x07", 1)]
)
def test_what_is_no_yaml_is_said_with_its_line(text: str, line: int) -> None:
    _, findings = read_openslo({"f.yaml": text})
    assert [(one.rule, one.line) for _, one in findings] == [("yaml", line)]


def test_two_documents_of_one_name_and_two_fields_of_one_name_are_faults() -> None:
    _, findings = read(objective(), objective())
    assert ("duplicate", "", "error") in findings
    _, placed = read_openslo({"f": "apiVersion: openslo/v1\napiVersion: openslo/v1\n"})
    assert "duplicate" in {one.rule for _, one in placed}


def test_dates_and_numbers_stay_as_they_are_written() -> None:
    conditions = {"attributes.day": "2026-11-22"}
    text = yaml.safe_dump(ratio(total=source(filter=conditions, good={"outcome": "ok"})))
    (found,), _ = read_openslo({"f": text.replace("'2026-11-22'", "2026-11-22")})
    assert found.indicator.valid[0].values == ("2026-11-22",)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    read_openslo({"f": text})


def test_objectives_over_checks_name_the_fields_of_checks() -> None:
    runs = {"check": "checkout", "ends_run": True, "status": {"lt": 500}}
    (availability,), findings = read(
        ratio(total=source(signal="checks", filter=runs, good={"outcome": "ok"}))
    )
    assert findings == []
    assert availability.indicator.signal == "checks"
    assert availability.indicator.valid == (
        Condition("check", "any", ("checkout",)),
        Condition("ends_run", "any", ("true",)),
        Condition("status", "lt", (500.0,)),
    )
    (latency,), findings = read(
        threshold(
            {"target": 0.95, "op": "lte", "value": 250},
            signal="checks", filter={"step": "pay"}, value="first_byte_ms",
        )
    )  # fmt: skip
    assert findings == []
    assert (latency.indicator.signal, latency.indicator.threshold) == (
        "checks",
        Threshold("first_byte_ms", "lte", 250.0),
    )


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ({"signal": "checks", "filter": {"channel": "web"}, "good": {"outcome": "ok"}},
         "unknown-field"),
        ({"signal": "checks", "filter": {"attributes.plan": "pro"}, "good": {"outcome": "ok"}},
         "unknown-field"),
        ({"signal": "checks", "filter": {"reason": {"gt": 1}}, "good": {"outcome": "ok"}}, "type"),
        ({"filter": {"reason": "status"}, "good": {"outcome": "ok"}}, "unknown-field"),
        ({"signal": ["checks"], "good": {"outcome": "ok"}}, "type"),
    ],
)  # fmt: skip
def test_a_field_of_another_signal_is_a_fault(spec: dict[str, Any], rule: str) -> None:
    assert read(ratio(total=source(**spec)))[1][0][0] == rule


def test_a_ratio_is_counted_in_one_signal() -> None:
    checks, events = source(signal="checks", filter={"outcome": "ok"}), source()
    _, findings = read(ratio(good=checks, total=events))
    assert [rule for rule, _, _ in findings] == ["one-of"]


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("1.10", ("1.10",)),
        ("010", ("010",)),
        ("[0x1f, 1_0, 12e5, 2026-01-01]", ("0x1f", "1_0", "12e5", "2026-01-01")),
        ("[True, yes, 'true']", ("true", "yes", "true")),
        ("{ne: 2.0}", ("2.0",)),
    ],
)
def test_what_a_text_is_compared_with_stays_as_it_is_written(
    written: str, values: tuple[str, ...]
) -> None:
    document = ratio(total=source(filter={"attributes.version": "HERE"}, good={"outcome": "ok"}))
    text = yaml.safe_dump(document).replace("HERE", written)
    (found,), findings = read_openslo({"f.yaml": text})
    assert (found.indicator.valid[0].values, findings) == (values, [])


@pytest.mark.parametrize(
    "conditions",
    [{"journey": None}, {"journey": {}}, {"journey": {"ne": None}}, {"journey": ["a", None]}],
)
def test_a_condition_without_a_value_does_not_match_everything(conditions: dict[str, Any]) -> None:
    objectives, found = read(ratio(total=source(filter=conditions, good={"outcome": "ok"})))
    assert objectives == []
    assert {rule for rule, _, _ in found} == {"required"}
    objectives, found = read(ratio(total=source(good={})))
    assert (objectives, [rule for rule, _, _ in found]) == ([], ["required"])


def test_slices_begin_on_a_whole_minute() -> None:
    calendar = {"startTime": "2026-01-01 00:00:30", "timeZone": "UTC"}
    window = [{"duration": "1M", "isRolling": False, "calendar": calendar}]
    sliced = {"objectives": [{"target": 0.99, "timeSliceWindow": "5m"}]}
    document = objective(timeWindow=window, budgetingMethod="RatioTimeslices", **sliced)
    assert read(document) == ([], [("format", "spec.timeWindow", "error")])
    assert read(objective(timeWindow=window))[1] == []


def test_where_silence_is_bad_each_slice_must_be_tellable() -> None:
    goal = {"target": 0.99, "timeSliceWindow": "1m"}
    years = [{"duration": "5Y", "isRolling": True}]
    document = objective(budgetingMethod="RatioTimeslices", objectives=[goal], timeWindow=years)
    assert "range" not in [rule for rule, _, _ in read(document)[1]]
    document["metadata"]["annotations"] = {"candor.dev/no-data": "bad"}
    assert ("range", "spec.timeWindow", "error") in read(document)[1]


def test_good_events_that_no_valid_event_can_be_are_doubted() -> None:
    start, end = source(filter={"name": "start"}), source(filter={"name": ["end", "paid"]})
    _, found = read(ratio(total=start, good=end))
    assert [(rule, path.rpartition(".")[2], severity) for rule, path, severity in found] == [
        ("contradiction", "good", "warning")
    ]
    either = source(filter={"name": ["start", "end"]})
    assert read(ratio(total=either, good=end))[1] == []


@pytest.mark.parametrize("written", ["9.9e-1", "99e-2", "+9.9E-01", "99.0e-2"])
def test_a_number_may_have_an_exponent_as_json_writes_it(written: str) -> None:
    text = yaml.safe_dump(objective()).replace("target: 0.999", f"target: {written}")
    (found,), findings = read_openslo({"f.yaml": text})
    assert (found.target, findings) == (Decimal("0.99"), [])


@pytest.mark.parametrize("number", ["9" * 400, "1.0e+999999999", "1.0e-999999999", "0.0e-99999999"])
def test_a_number_beyond_all_counting_is_refused_at_once(number: str) -> None:
    text = yaml.safe_dump(objective()).replace("target: 0.999", f"target: {number}")
    _, findings = read_openslo({"f.yaml": text})
    assert [(one.path, one.rule) for _, one in findings] == [("spec.objectives[0].target", "range")]
