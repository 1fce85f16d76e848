"""The exported rules, read and run by the Prometheus tool itself."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from slo.openslo import read_set
from slo.rules import prometheus_rules, rule_file
from tests.support.programs import ROOT, program
from tests.unit.slo.test_openslo import objective

LABELS = {"sloth_id": "shop-checkout", "sloth_service": "shop", "sloth_slo": "checkout"}
BAD = 'requests_total{code="500"}'
TOTAL = "requests_total"
B = "sum(rate(b[5m]))"


def promtool(*arguments: str) -> None:
    command = [program("promtool", "prometheus"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def prometheus(query: str) -> dict[str, Any]:
    return {"metricSource": {"type": "prometheus", "spec": {"query": query}}}


def exported(**parts: Any) -> tuple[dict[str, Any], list[str]]:  # noqa: ANN401 - any YAML
    indicator = {"metadata": {"name": "sli"}, "spec": {"ratioMetric": parts}}
    text = yaml.safe_dump(objective(indicator=indicator))
    return prometheus_rules(read_set({"f": text}))


def recordings(file: dict[str, Any]) -> dict[str, str]:
    return {
        rule["record"]: rule["expr"]
        for group in file["groups"]
        for rule in group["rules"]
        if "record" in rule
    }


def test_the_rules_of_the_examples_are_accepted(tmp_path: Path) -> None:
    texts = {one.name: one.read_text() for one in (ROOT / "examples").glob("*-objective*.yaml")}
    file, left_out = prometheus_rules(read_set(texts))
    assert left_out == []
    path = tmp_path / "rules.yaml"
    path.write_text(rule_file(file))
    promtool("check", "rules", "--lint-fatal", str(path))
    assert {group["name"] for group in file["groups"]} >= {
        "sloth-slo-sli-recordings-shop-checkout-availability",
        "sloth-slo-meta-recordings-shop-checkout-availability",
        "sloth-slo-alerts-shop-checkout-availability",
    }


def test_recordings_bear_the_names_that_dashboards_read() -> None:
    file, _ = exported(bad=prometheus(BAD), total=prometheus(TOTAL))
    windows = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")
    assert set(recordings(file)) == {
        *(f"slo:sli_error:ratio_rate{window}" for window in windows),
        "slo:objective:ratio",
        "slo:error_budget:ratio",
        "slo:time_period:days",
        "slo:current_burn_rate:ratio",
        "slo:period_burn_rate:ratio",
        "slo:period_error_budget_remaining:ratio",
        "sloth_slo_info",
    }
    assert recordings(file)["slo:error_budget:ratio"] == "vector(0.001)"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"good": prometheus("sum(rate(a[1m]))"), "total": prometheus("sum(rate(b[1m]))")},
         f"1 - (\n(\n  (sum(rate(a[5m])))\n  or\n  ({B}) * 0\n)\n/\n(\n  ({B})\n  > 0\n)\n)"),
        ({"bad": prometheus("sum(rate(a[{{.window}}]))"), "total": prometheus("b")},
         f"(\n  (sum(rate(a[5m])))\n  or\n  ({B}) * 0\n)\n/\n(\n  ({B})\n  > 0\n)"),
        ({"raw": prometheus("up"), "rawType": "success"}, "1 - (avg_over_time((up)[5m:]))"),
        ({"raw": prometheus("down"), "rawType": "failure"}, "avg_over_time((down)[5m:])"),
        ({"raw": prometheus("a[{{.window}}] # now"), "rawType": "failure"}, "a[5m]"),
    ],
)  # fmt: skip
def test_a_query_is_asked_over_each_window(parts: dict[str, Any], expected: str) -> None:
    file, left_out = exported(**parts)
    assert left_out == []
    assert recordings(file)["slo:sli_error:ratio_rate5m"] == expected


@pytest.mark.parametrize(
    ("query", "ranged"),
    [
        ('a_total{path=~"/a/{id}"}', 'sum(rate(a_total{path=~"/a/{id}"}[5m]))'),
        ('{__name__="a.total"}', 'sum(rate({__name__="a.total"}[5m]))'),
        ("a_total # all of them", "sum(rate(a_total[5m]))"),
        ('rate(a{path="[1m] # {"}[1m])', 'rate(a{path="[1m] # {"}[5m])'),
        ("rate(a[1h30m]) # of [1m]", "rate(a[5m])"),
        ("rate(a[${__rate_interval}])", "rate(a[5m])"),
        ("rate(a[{{.window}}]) * max_over_time(b[1d])", "rate(a[5m]) * max_over_time(b[1d])"),
        ("sum_over_time(a[{{ .window }}:1m])", "sum_over_time(a[5m:1m])"),
    ],
)
def test_the_window_stands_where_the_query_says(query: str, ranged: str) -> None:
    file, left_out = exported(bad=prometheus(query), total=prometheus("b"))
    assert left_out == []
    ratio = recordings(file)["slo:sli_error:ratio_rate5m"]
    assert ratio.startswith(f"(\n  ({ranged})\n  or\n")


@pytest.mark.parametrize("query", ["rate(a[1m]) * b[1d]", "sum_over_time(a[5m:1m])", "sum(a)"])
def test_a_query_that_does_not_say_where_its_window_belongs_is_left_out(query: str) -> None:
    file, left_out = exported(bad=prometheus(query), total=prometheus("b"))
    assert file == {"groups": []}
    assert ["Write [{{.window}}]" in one for one in left_out] == [True]


@pytest.mark.parametrize(
    ("parts", "errors"),
    [
        ({"bad": prometheus(BAD), "total": prometheus(TOTAL)}, 0),
        ({"good": prometheus('requests_total{code="204"}'), "total": prometheus(TOTAL)}, 1),
    ],
)
def test_a_series_that_was_never_seen_counts_nothing(
    tmp_path: Path, parts: dict[str, Any], errors: int
) -> None:
    file, _ = exported(**parts)
    (tmp_path / "rules.yaml").write_text(rule_file(file))
    series = [{"series": 'requests_total{code="200"}', "values": "0+100x90"}]
    asked_for = asked(90, "sum(slo:sli_error:ratio_rate1h)", [{"labels": "{}", "value": errors}])
    scenario = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [asked_for]}],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(scenario))
    promtool("test", "rules", str(path))


def test_a_name_with_braces_is_no_template(tmp_path: Path) -> None:
    document = objective()
    document["metadata"]["displayName"] = 'Pays {{ off "all"'
    file, _ = prometheus_rules(read_set({"f": yaml.safe_dump(document)}))
    path = tmp_path / "rules.yaml"
    path.write_text(rule_file(file))
    promtool("check", "rules", str(path))
    assert 'Pays {{ "{{" }} off "all": the error' in path.read_text()


def test_of_two_with_one_id_the_second_is_left_out() -> None:
    first = objective(service="shop") | {"metadata": {"name": "web-checkout"}}
    second = objective(service="shop-web") | {"metadata": {"name": "checkout"}}
    file, left_out = prometheus_rules(read_set({"f": yaml.safe_dump_all([first, second])}))
    assert ["checkout: its service" in one for one in left_out] == [True]
    names = [group["name"] for group in file["groups"]]
    assert len(names) == len(set(names)) == 3


def test_disabled_tiers_alert_nobody_and_what_rules_do_not_follow_is_said() -> None:
    document = objective()
    document["metadata"]["annotations"] = {
        "candor.dev/disabled-tiers": "medium, slow, long",
        "candor.dev/windows": "7d",
        "candor.dev/minimum-bad-events": "10",
    }
    file, left_out = prometheus_rules(read_set({"f": yaml.safe_dump(document)}))
    (alert,) = [rule for group in file["groups"] for rule in group["rules"] if "alert" in rule]
    assert '"fast"' in alert["expr"]
    assert '"medium"' not in alert["expr"]
    assert left_out == [
        "checkout: these rules do not follow candor.dev/windows, candor.dev/minimum-bad-events."
    ]


STEP = {
    "interval": "1m",
    "input_series": [
        {"series": BAD, "values": "0x60 5+5x19 100x60"},
        {"series": 'requests_total{code="200"}', "values": "0+100x140"},
    ],
}


def page(tier: str) -> list[dict[str, Any]]:
    return [{"labels": f'{{sloth_severity="page", tier="{tier}"}}', "value": 1}]


def asked(minute: int, expression: str, samples: list[dict[str, Any]]) -> dict[str, Any]:
    return {"eval_time": f"{minute}m", "expr": expression, "exp_samples": samples}


def test_a_step_in_the_error_rate_pages_once_by_the_fastest_tier_and_ends_soon(
    tmp_path: Path,
) -> None:
    file, _ = exported(bad=prometheus(BAD), total=prometheus(TOTAL))
    (tmp_path / "rules.yaml").write_text(rule_file(file))
    pages = 'count by (sloth_severity, tier) (ALERTS{sloth_severity="page"})'
    remaining = "slo:period_error_budget_remaining:ratio"
    labels = ", ".join(
        f'{name}="{value}"' for name, value in (LABELS | {"sloth_window": "30d"}).items()
    )
    spent = [{"labels": f"{{{labels}}}", "value": 1}]
    expectations = [
        asked(60, pages, []),
        asked(65, pages, []),
        asked(72, pages, page("medium")),
        asked(80, pages, page("fast")),
        asked(90, pages, page("medium")),
        asked(115, pages, []),
        asked(60, f"{remaining} == bool 1", spent),
        asked(80, f"{remaining} < bool 0", spent),
    ]
    scenario = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [STEP | {"promql_expr_test": expectations}],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(scenario))
    promtool("test", "rules", str(path))


def test_without_events_there_is_no_sample_and_no_alert(tmp_path: Path) -> None:
    file, _ = exported(bad=prometheus(BAD), total=prometheus(TOTAL))
    (tmp_path / "rules.yaml").write_text(rule_file(file))
    quiet = {"interval": "1m", "input_series": [{"series": BAD, "values": "7x120"}]}
    asked_for = [asked(90, "slo:sli_error:ratio_rate1h", []), asked(90, "ALERTS", [])]
    scenario = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [quiet | {"promql_expr_test": asked_for}],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(scenario))
    promtool("test", "rules", str(path))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"budgetingMethod": "RatioTimeslices",
          "objectives": [{"target": 0.9, "timeSliceWindow": "5m"}]}, "time slices"),
        ({"indicator": None, "objectives": [{"target": 0.9, "indicator": {
            "metadata": {"name": "i"}, "spec": {"ratioMetric": {
                "bad": prometheus(BAD), "total": prometheus(TOTAL)}}}}]}, "composite"),
        ({"indicator": {"metadata": {"name": "i"}, "spec": {"thresholdMetric": prometheus(BAD)}},
          "objectives": [{"target": 0.9, "op": "lte", "value": 1}]}, "no ratio"),
        ({"indicator": {"metadata": {"name": "i"}, "spec": {"ratioMetric": {
            "bad": prometheus("sum(a)"), "total": prometheus(TOTAL)}}}}, "no range"),
    ],
)  # fmt: skip
def test_what_a_prometheus_cannot_keep_is_left_out_with_a_sentence(
    changes: dict[str, Any], sentence: str
) -> None:
    text = yaml.safe_dump(objective(**changes))
    file, left_out = prometheus_rules(read_set({"f": text}))
    assert file == {"groups": []}
    assert [sentence in one for one in left_out] == [True]


def test_a_calendar_rolls_and_several_objectives_are_numbered(tmp_path: Path) -> None:
    calendar = {"startTime": "2026-01-01 00:00:00", "timeZone": "UTC"}
    text = yaml.safe_dump(
        objective(
            timeWindow=[{"duration": "1Q", "calendar": calendar}],
            objectives=[{"target": 0.9}, {"target": 0.99}],
        )
    )
    file, left_out = prometheus_rules(read_set({"f": text}))
    assert left_out == ["checkout: a Prometheus knows no calendar; its period rolls over 90d."]
    assert "slo:sli_error:ratio_rate90d" in recordings(file)
    assert "sloth-slo-alerts-shop-checkout-2" in {group["name"] for group in file["groups"]}
    path = tmp_path / "rules.yaml"
    path.write_text(rule_file(file))
    promtool("check", "rules", str(path))
