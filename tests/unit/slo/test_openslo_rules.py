"""Every rule with a document that breaks it: its line, and its severity at both levels."""

import pytest

from slo.openslo import KINDS, StoredDocument, has_errors, read_openslo, read_set
from tests.support.programs import ROOT

SLO = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: checkout}
spec:
  service: shop
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  alertPolicies: [{alertPolicyRef: page}]
  indicatorRef: sli
  objectives:
    - target: 0.99
---
"""
SLI = """\
apiVersion: openslo/v1
kind: SLI
metadata: {name: sli}
spec:
  ratioMetric:
    counter: true
    total: {metricSource: {metricSourceRef: here, spec: {signal: events}}}
    bad: {metricSource: {type: candor, spec: {signal: events, filter: {outcome: error}}}}
---
"""
OTHERS = """\
apiVersion: openslo/v1
kind: DataSource
metadata: {name: here}
spec: {type: candor, connectionDetails: {url: "http://127.0.0.1"}}
---
apiVersion: openslo/v1
kind: Service
metadata: {name: shop, labels: {team: [checkout, payments]}}
spec: {description: The shop.}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: page}
spec:
  alertWhenBreaching: true
  conditions: [{conditionRef: fast}]
  notificationTargets: [{targetRef: on-call}]
---
apiVersion: openslo/v1
kind: AlertCondition
metadata: {name: fast}
spec:
  severity: page
  condition:
    kind: burnrate
    op: gt
    threshold: 14.4
    lookbackWindow: 1h
    alertAfter: 5m
---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: {name: on-call}
spec: {target: pager}
"""
WHOLE = SLO + SLI + OTHERS
INDICATOR = "{metadata: {name: i}, spec: {ratioMetric: {total: {metricSource: {type: candor, "
INDICATOR += "spec: {signal: events, good: {outcome: ok}}}}}}}"
OWN = "    - {target: 0.99, indicator: " + INDICATOR + "}"
TIMESLICES = ("Occurrences", "Timeslices")


def place_of(text: str) -> int:
    """Return the line that holds the first ``@``, which marks the fault."""
    return text[: text.index("@")].count("\n") + 1


def severity(text: str, rule: str, line: int, *, strict: bool) -> str | None:
    _, findings = read_openslo({"f": text}, strict=strict)
    found = {one.severity for _, one in findings if (one.rule, one.line) == (rule, line)}
    return min(found, default=None)  # an error before a warning


def annotated(text: str) -> tuple[str, str]:
    return ("{name: checkout}", f"{{name: checkout, annotations: {{@{text}}}}}")


CASES: list[tuple[str, str, str, str, str | None]] = [
    # rule, what is replaced, by what (@ marks the line), default and strict severity
    ("yaml", "kind: SLO", "@kind: [SLO", "error", "error"),
    ("type", "service: shop", "@service: [shop]", "error", "error"),
    ("type", "[{alertPolicyRef: page}]", "@[page]", "warning", "error"),
    ("type", "alertWhenBreaching: true", "@alertWhenBreaching: maybe", "error", "error"),
    ("unknown-field", "service: shop", "service: shop\n  @colour: red", "error", "error"),
    ("unknown-field", "severity: page", "severity: page\n  @colour: red", "error", "error"),
    ("duplicate", "service: shop", "service: shop\n  @service: shop", "error", "error"),
    ("duplicate", "---\napiVersion: openslo/v1\nkind: Service",
     ("---\n@apiVersion: openslo/v1\nkind: DataSource\nmetadata: {name: here}\nspec: {type: candor,"
     " connectionDetails: {}}\n---\napiVersion: openslo/v1\nkind: Service"), "error", "error"),
    ("api-version", "apiVersion: openslo/v1", "@apiVersion: openslo/v1alpha", "error", "error"),
    ("kind", "kind: Service", "@kind: Servant", "error", "error"),
    ("kind", "[{conditionRef: fast}]", "@[{kind: Service, metadata: {name: a}, spec: {}}]", "error",
     "error"),
    ("required", "  service: shop\n", "", "error", "error"),
    ("required", "  timeWindow: [{duration: 30d, isRolling: true}]\n", "", "warning", "error"),
    ("required", "{duration: 30d, isRolling: true}", "@{duration: 30d}", "error", "error"),
    ("required", "{duration: 30d, isRolling: true}",
     "@{duration: 1M, calendar: {timeZone: UTC}}", "error", "error"),
    ("required", "    kind: burnrate\n    op", "    @op", "warning", "error"),
    ("required", "    kind: burnrate\n    op: gt\n", "    @kind: burnrate\n", "error", "error"),
    ("required", "  severity: page\n  condition", "  @condition", "error", "error"),
    ("required", "  conditions: [{conditionRef: fast}]", "  @conditions: []", "error", "error"),
    ("required", "[{targetRef: on-call}]", "@[]", "error", "error"),
    ("required", "{target: pager}", "@{description: x}", "error", "error"),
    ("required", '{type: candor, connectionDetails: {url: "http://127.0.0.1"}}',
     "@{connectionDetails: {}}", "error", "error"),
    ("required", '{type: candor, connectionDetails: {url: "http://127.0.0.1"}}',
     "@{type: candor}", "warning", "error"),
    ("required", "Occurrences", "Timeslices", "error", "error"),
    ("required", "Occurrences", "RatioTimeslices", "error", "error"),
    ("format", "{name: checkout}", "@{name: Check out}", "error", "error"),
    ("format", "{name: checkout}", "@{name: CheckOut}", "warning", "error"),
    ("format", "duration: 30d", "duration: @30x", "error", "error"),
    ("format", "lookbackWindow: 1h", "@lookbackWindow: 1 hour", "error", "error"),
    ("format", "{duration: 30d, isRolling: true}", ("@{duration: 1M, calendar: {timeZone: Nowhere,"
     " startTime: 2026-01-01 00:00:00}}"), "error", "error"),
    ("format", "{duration: 30d, isRolling: true}", ("@{duration: 1M, calendar: {timeZone: UTC,"
     " startTime: 2026-01-01}}"), "error", "error"),
    ("format", *annotated("'a b/c': x"), "error", "error"),
    ("length", "service: shop", f"service: shop\n  @description: {'x' * 1051}", "error", "error"),
    ("one-of", "    - target: 0.99", "@    - {target: 0.99, targetPercent: 99}", "error", "error"),
    ("one-of", "    - target: 0.99", "@    - {target: 0.99, op: lte, value: 1}", "warning",
     "error"),
    ("one-of", "    - target: 0.99", "@    - {target: 0.99, timeSliceWindow: 5m}", "warning",
     "warning"),
    ("one-of", "    - target: 0.99", "@    - {target: 0.99, compositeWeight: 2}", "warning",
     "warning"),
    ("one-of", "[{alertPolicyRef: page}]", "@[{}]", "error", "error"),
    ("one-of", "kind: burnrate", "@kind: forecast", "error", "error"),
    ("one-of", "op: gt", "@op: eq", "error", "error"),
    ("one-of", "    counter: true", "    @rawType: success", "error", "error"),
    ("range", "target: 0.99", "@target: 1", "error", "error"),
    ("range", "target: 0.99", "@target: 0.9999999999999999999", "error", "error"),
    ("range", "    - target: 0.99", "@    - {target: 0.99, compositeWeight: 0}", "error", "error"),
    ("reference", "indicatorRef: sli", "@indicatorRef: nowhere", "error", "error"),
    ("reference", "alertPolicyRef: page", "@alertPolicyRef: nowhere", "error", "error"),
    ("reference", "conditionRef: fast", "@conditionRef: nowhere", "error", "error"),
    ("reference", "targetRef: on-call", "@targetRef: nowhere", "error", "error"),
    ("reference", "metricSourceRef: here", "@metricSourceRef: nowhere", "error", "error"),
    ("reserved", *annotated("openslo.com/x: y"), "warning", "warning"),
    ("annotation", *annotated("candor.dev/colour: red"), "error", "error"),
    ("annotation", *annotated("candor.dev/no-data: maybe"), "error", "error"),
    ("annotation", *annotated("candor.dev/no-data: bad"), "error", "error"),
    ("annotation", *annotated("candor.dev/minimum-events: few"), "error", "error"),
    ("annotation", *annotated("candor.dev/minimum-bad-events: -1"), "error", "error"),
    ("annotation", *annotated("candor.dev/windows: '7d, soon'"), "error", "error"),
    ("annotation", *annotated("candor.dev/when-delayed: Ignore"), "error", "error"),
    ("one-of", "signal: events}", "signal: @prometheus}", "error", "error"),
    ("unfirable-factor", "threshold: 14.4", "@threshold: 100", "warning", "warning"),
    ("unfirable-factor", ("  alertPolicies: [{alertPolicyRef: page}]\n  indicatorRef: sli\n"
     "  objectives:\n    - target: 0.99"), "  indicatorRef: sli\n  objectives:\n    @- target: 0.9",
     "warning", "warning"),
    ("factor-below-one", "threshold: 14.4", "@threshold: 0.5", "warning", "warning"),
    ("factor-below-one", ("[{duration: 30d, isRolling: true}]\n  alertPolicies: [{alertPolicyRef:"
     " page}]\n  indicatorRef: sli\n  objectives:\n    -"), ("[{duration: 7d, isRolling: true}]\n"
     "  indicatorRef: sli\n  objectives:\n    @-"), "warning", "warning"),
    ("minute-for-month", "{duration: 30d, isRolling: true}", ("@{duration: 1m, calendar: {timeZone:"
     " UTC, startTime: 2026-01-01 00:00:00}}"), "warning", "warning"),
    ("minute-for-month", "duration: 30d", "duration: @1m", "warning", "warning"),
    ("sub-event-budget", "{name: checkout}",
     "{name: checkout, annotations: {candor.dev/expected-events: 99}}", "warning", "warning"),
    ("window-over-retention", "duration: 30d", "duration: @2Y", "warning", "warning"),
]  # fmt: skip
PLACES = {  # the line of a fault that lies where something is missing, or far from its cause
    ("required", "  service: shop\n"): 5,
    ("required", "  timeWindow: [{duration: 30d, isRolling: true}]\n"): 5,
    ("required", "Occurrences"): 11,
    ("sub-event-budget", "{name: checkout}"): 11,
}


def test_a_set_of_every_kind_is_without_a_finding_at_both_levels() -> None:
    assert all(f"kind: {kind}\n" in WHOLE for kind in KINDS)
    for strict in (False, True):
        objectives, findings = read_openslo({"f": WHOLE}, strict=strict)
        assert findings == []
        assert [one.name for one in objectives] == ["checkout"]


@pytest.mark.parametrize(("rule", "old", "new", "default", "strict"), CASES)
def test_a_rule_is_told_with_its_line_at_both_levels(
    rule: str, old: str, new: str, default: str, strict: str
) -> None:
    assert old in WHOLE
    text = WHOLE.replace(old, new, 1)
    line = PLACES.get((rule, old)) or place_of(text)
    if rule == "yaml":
        line += 1
    text = text.replace("@", "")
    assert severity(text, rule, line, strict=False) == default
    assert severity(text, rule, line, strict=True) == strict


def sliced(goal: str, method: str = "Timeslices", name: str = "checkout") -> str:
    text = WHOLE.replace("Occurrences", method).replace("    - target: 0.99", f"    - {goal}")
    return text.replace("{name: checkout}", f"{{name: checkout{name.removeprefix('checkout')}}}")


@pytest.mark.parametrize(
    ("goal", "rule", "default", "strict"),
    [
        ("{target: 0.9, timeSliceTarget: 0.9, timeSliceWindow: 5m}", "range", None, None),
        ("{target: 0.9, timeSliceTarget: 0, timeSliceWindow: 5m}", "range", "warning", "error"),
        ("{target: 0.9, timeSliceTarget: 1.5, timeSliceWindow: 5m}", "range", "error", "error"),
        ("{target: 0.9, timeSliceTarget: 0.9, timeSliceWindow: 5}", "format", "warning", "error"),
        ("{target: 0.9, timeSliceTarget: 0.9, timeSliceWindow: 0}", "format", "error", "error"),
        ("{target: 0.9, timeSliceTarget: 0.9}", "required", "error", "error"),
        ("{target: 0.9, timeSliceWindow: 5m}", "required", "error", "error"),
        ("{target: 0.999, timeSliceTarget: 0.9, timeSliceWindow: 12h}", "sub-event-budget",
         "warning", "warning"),
    ],
)  # fmt: skip
def test_a_rule_of_slices_is_told_at_both_levels(
    goal: str, rule: str, default: str | None, strict: str | None
) -> None:
    text = sliced(goal)
    assert severity(text, rule, 11, strict=False) == default
    assert severity(text, rule, 11, strict=True) == strict


def test_slices_shorter_than_the_data_interval_are_pointed_out() -> None:
    goal = "{target: 0.9, timeSliceTarget: 0.9, timeSliceWindow: 5m}"
    annotations = "checkout, annotations: {candor.dev/data-interval: 10m}"
    assert severity(sliced(goal, name=annotations), "slice-below-interval", 11, strict=True)
    annotations = "checkout, annotations: {candor.dev/data-interval: 5m}"
    assert not severity(sliced(goal, name=annotations), "slice-below-interval", 11, strict=True)


def test_indicators_stand_on_the_slo_or_on_its_objectives() -> None:
    text = WHOLE.replace("    - target: 0.99", OWN)
    assert severity(text, "one-of", 9, strict=False) == "error"
    objectives, findings = read_openslo({"f": text.replace("  indicatorRef: sli\n", "")})
    assert (objectives[0].is_composite, findings) == (True, [])


def test_a_target_of_zero_is_one_and_burns_at_most_once() -> None:
    objectives, findings = read_openslo({"f": WHOLE.replace("target: 0.99", "target: 0")})
    assert not has_errors(findings)
    assert objectives[0].budget == 1


def test_one_fault_in_an_sli_is_not_reported_as_a_missing_one_too() -> None:
    text = WHOLE.replace(
        "bad: {metricSource: {type: candor",
        "rawType: success\n    bad: {metricSource: {type: candor",
    )
    _, findings = read_openslo({"f": text})
    assert [one.rule for _, one in findings] == ["one-of"]


FOREIGN = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: theirs}
spec:
  service: shop
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  indicator:
    metadata: {name: sli}
    spec:
      ratioMetric:
        good: {metricSource: {type: Datadog, spec: {query: "sum:a"}}}
        total: {metricSource: {type: Datadog, spec: {query: "sum:b"}}}
  objectives: [{target: 0.99}]
"""


def test_what_another_system_measures_is_valid_and_gives_no_objective() -> None:
    objectives, findings = read_openslo({"f": FOREIGN}, strict=True)
    assert objectives == []
    assert [(one.rule, one.severity, one.line) for _, one in findings] == [
        ("unsupported", "warning", 12),
        ("unsupported", "warning", 13),
    ]
    empty = FOREIGN.replace('{query: "sum:b"}', "{}")
    assert severity(empty, "required", 13, strict=False) == "error"


def test_strictly_good_stands_beside_total() -> None:
    text = f"{SLO}{OTHERS}".replace("indicatorRef: sli", f"indicator: {INDICATOR}")
    assert severity(text, "one-of", 9, strict=False) is None
    assert severity(text, "one-of", 9, strict=True) == "error"


def stored(text: str) -> list[StoredDocument]:
    return list(read_set({"f": text}).documents)


def test_references_reach_the_store_and_a_new_document_replaces_the_stored_one() -> None:
    read = read_set({"f": SLO}, stored(SLI + OTHERS))
    assert read.findings == ()
    assert [one.objective.name for one in read.objectives] == ["checkout"]
    changed = read_set({"f": SLI.replace("error", "held")}, stored(WHOLE))
    (compiled,) = changed.objectives
    assert compiled.objective.indicator.good[0].values == ("held",)
    assert not compiled.is_new


def test_what_is_pruned_may_not_be_referred_to_any_more() -> None:
    labelled = WHOLE.replace("{name: sli}", "{name: sli, labels: {team: [a, b]}}")
    read = read_set({"f": "{apiVersion: openslo/v1, kind: Service, metadata: {name: x}, spec: {}}"},
                    stored(labelled), prune=("team", "b"))  # fmt: skip
    assert [one.name for one in read.removed] == ["sli"]
    ((place, finding),) = read.findings
    assert (place, finding.rule, finding.severity) == ("SLO/checkout", "reference", "error")


def test_a_document_says_the_same_in_whatever_style_it_is_written() -> None:
    block = "# why\nspec:\n  description: 'x'\nkind: Service\nmetadata:\n  name: \"a\"\n"
    block += "apiVersion: openslo/v1\n"
    flow = "{apiVersion: openslo/v1, kind: Service, metadata: {name: a}, spec: {description: x}}"
    assert stored(block) == stored(flow)
    (document,) = stored(flow.replace("description: x", "description: '2026-11-22'"))
    assert stored(document.text) == [document]


def test_observed_volume_is_held_against_the_budget() -> None:
    read = read_set({"f": WHOLE}, volume=lambda objectives: [99 for _ in objectives])
    assert [(one.rule, one.line) for _, one in read.findings] == [("sub-event-budget", 11)]
    assert (
        read_set({"f": WHOLE}, volume=lambda objectives: [100 for _ in objectives]).findings == ()
    )


def test_documents_may_stand_in_a_list_as_the_sdk_writes_them() -> None:
    documents = [one for one in WHOLE.split("---\n") if one]
    listed = "".join("- " + "  ".join(one.splitlines(keepends=True)) for one in documents)
    assert read_openslo({"f": listed})[0] == read_openslo({"f": WHOLE})[0]
    _, findings = read_openslo({"f": listed.replace("target: 0.99", "target: 1.99")})
    (wrong,) = [number for number, one in enumerate(documents) if "target: 0.99" in one]
    line = listed[: listed.index("target: 0.99")].count("\n") + 1
    assert [(one.document, one.name, one.path, one.line) for _, one in findings] == [
        (wrong, "checkout", "spec.objectives[0].target", line)
    ]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "SLO"])
@pytest.mark.parametrize("rule", ["api-version", "required"])
def test_a_document_that_others_refer_to_is_one_fault(kind: str, rule: str) -> None:
    start = WHOLE.index(f"apiVersion: openslo/v1\nkind: {kind}\n")
    document = WHOLE[start:].partition("---\n")[0]
    broken = document.partition("spec:")[0]
    if rule == "api-version":
        broken = document.replace("openslo/v1", "openslo/v2")
    _, findings = read_openslo({"f": WHOLE.replace(document, broken)})
    wanted = [] if (kind, rule) == ("Service", "required") else [(rule, kind)]
    assert [(one.rule, one.kind) for _, one in findings] == wanted


def test_what_is_referred_to_may_stand_where_a_text_cannot_be_read() -> None:
    _, findings = read_openslo({"f": SLO + "a: [\n---\n" + SLI + OTHERS, "g": SLO})
    assert [(name, one.rule, one.line) for name, one in findings] == [
        ("f", "yaml", 14),
        ("g", "duplicate", 1),
    ]


SLICES = "timeSliceTarget: 0.9, timeSliceWindow: 5m"


@pytest.mark.parametrize(
    ("method", "slices", "annotation", "told"),
    [
        ("Timeslices", SLICES, "", ["Of 99 measured slices or fewer"]),
        ("Timeslices", SLICES, "candor.dev/no-data: bad", []),
        ("RatioTimeslices", "timeSliceWindow: 5m", "", []),
    ],
)
def test_events_are_no_measure_of_a_budget_of_slices(
    method: str, slices: str, annotation: str, told: list[str]
) -> None:
    text = WHOLE.replace("Occurrences", method)
    text = text.replace("- target: 0.99\n", f"- {{target: 0.99, {slices}}}\n")
    text = text.replace("{name: checkout}", f"{{name: checkout, annotations: {{{annotation}}}}}")
    read = read_set({"f": text}, volume=lambda objectives: [99 for _ in objectives])
    assert [one.message.partition(" in ")[0] for _, one in read.findings] == told


def test_two_slos_may_not_make_objectives_of_one_name() -> None:
    two = SLO.replace("    - target: 0.99", "    - target: 0.99\n    - target: 0.9")
    other = SLO.replace("{name: checkout}", "{name: checkout-1}")
    _, findings = read_openslo({"f": two + other + SLI + OTHERS})
    assert [(one.rule, one.line) for _, one in findings if one.severity == "error"] == [
        ("duplicate", 14)
    ]


def test_a_composite_is_one_objective_whose_target_is_the_weighted_mean() -> None:
    goals = "    - {target: 0.95, compositeWeight: 3, indicatorRef: sli}\n"
    goals += "    - {target: 0.99, indicatorRef: sli}"
    text = WHOLE.replace("  indicatorRef: sli\n", "").replace("    - target: 0.99", goals)
    ((one,), findings) = read_openslo({"f": text})
    assert findings == []
    assert (one.name, float(one.target), [int(part.weight) for part in one.parts]) == (
        "checkout", 0.96, [3, 1],
    )  # fmt: skip
    journey = text.replace(*annotated("candor.dev/composite: journey")).replace("@", "")
    assert float(read_openslo({"f": journey})[0][0].target) == 0.9405


@pytest.mark.parametrize("strict", [False, True])
def test_the_examples_have_no_finding_at_either_level(*, strict: bool) -> None:
    paths = sorted((ROOT / "examples").glob("*.yaml"))
    texts = {one.name: one.read_text(encoding="utf-8") for one in paths}
    slos = {name: text for name, text in texts.items() if "kind: SLO" in text}
    objectives, findings = read_openslo(slos, strict=strict)
    assert findings == []
    assert len(objectives) == 6


TARGET = "{kind: AlertNotificationTarget, metadata: {name: t}, spec: {target: mail}}"
CONDITION = "{kind: AlertCondition, metadata: {name: c}, spec: {severity: page, condition: {kind:"
CONDITION += " burnrate, op: gte, threshold: 2, lookbackWindow: 1h}}}"
POLICY = f"{{kind: AlertPolicy, metadata: {{name: p}}, spec: {{conditions: [{CONDITION}],"
POLICY += f" notificationTargets: [{TARGET}]}}}}"


def test_policies_conditions_and_targets_may_stand_inside_one_another() -> None:
    text = (SLO + SLI + OTHERS).replace("[{alertPolicyRef: page}]", f"[{POLICY}]")
    assert read_openslo({"f": text}, strict=True)[1] == []
    (named,) = read_set({"f": text}).promises
    (made,) = named.promise.policies
    assert (made.policy.name, made.policy.targets, made.policy.severity) == ("p", ("mail",), "page")
    high = text.replace("threshold: 2", "threshold: 100")
    assert severity(high, "unfirable-factor", 8, strict=False) == "warning"


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("spec: {target: mail}", "", "required"),
        ("kind: AlertNotificationTarget", "kind: AlertTarget", "kind"),
        ("kind: AlertCondition, ", "", "kind"),
        ("threshold: 2", "threshold: much", "type"),
        (TARGET, "{}", "one-of"),
        (CONDITION, "{}", "one-of"),
        (CONDITION, "{conditionRef: [x]}", "type"),
        (POLICY, "[x]", "type"),
    ],
)
def test_a_fault_inside_an_inline_object_is_told_with_its_line(
    old: str, new: str, rule: str
) -> None:
    policies = f"[{POLICY}]".replace(old, new)
    text = WHOLE.replace("[{alertPolicyRef: page}]", policies)
    assert severity(text, rule, 8, strict=False) == "error"


RAW = "raw: {metricSource: {type: %s, spec: {signal: events, query: up}}}"


@pytest.mark.parametrize(
    ("ratio", "rule", "expected"),
    [
        (RAW % "candor" + ", rawType: success", "unsupported", "error"),
        (RAW % "prometheus", "one-of", "error"),
        (RAW % "prometheus" + ", rawType: maybe", "one-of", "error"),
        (RAW % "datadog" + ", rawType: failure", "unsupported", "warning"),
        (RAW % "prometheus" + ", rawType: failure, bad: {metricSource: {type: prometheus, spec:"
         " {query: up}}}", "one-of", "error"),
        ((RAW % "prometheus").replace("raw", "total"), "one-of", "error"),
        ((RAW % "prometheus").replace("raw:", "total:") + ", bad: {}", "required", "error"),
    ],
)  # fmt: skip
def test_a_raw_ratio_stands_alone_and_is_read_for_rules(
    ratio: str, rule: str, expected: str
) -> None:
    indicator = f"indicator: {{metadata: {{name: i}}, spec: {{ratioMetric: {{{ratio}}}}}}}"
    text = WHOLE.replace("indicatorRef: sli", indicator)
    assert severity(text, rule, 9, strict=False) == expected


def test_a_raw_ratio_of_a_prometheus_has_a_budget_in_slices_alone() -> None:
    ratio = RAW % "prometheus" + ", rawType: failure"
    indicator = f"indicator: {{metadata: {{name: i}}, spec: {{ratioMetric: {{{ratio}}}}}}}"
    text = WHOLE.replace("indicatorRef: sli", indicator)
    assert severity(text, "unsupported", 11, strict=True) == "warning"
    slices = sliced("{target: 0.9, timeSliceWindow: 5m}", "RatioTimeslices")
    objectives, findings = read_openslo({"f": slices.replace("indicatorRef: sli", indicator)})
    assert (len(objectives), {one.rule for _, one in findings}) == (1, {"unfirable-factor"})


@pytest.mark.parametrize(
    ("counter", "query", "is_counted"),
    [
        ("true", "errors_total", True),
        ("false", "rate(errors_total[5m])", True),
        ("false", "increase(errors_total[{{.window}}])", True),
        ("false", "errors", False),
        ("false", "increase(errors_total)", False),
    ],
)
def test_promql_is_counted_where_it_says_how_many_events_it_means(
    counter: str, query: str, *, is_counted: bool
) -> None:
    source = f'{{metricSource: {{type: prometheus, spec: {{query: "{query}"}}}}}}'
    ratio = f"counter: {counter}, good: {source}, total: {source}"
    indicator = f"indicator: {{metadata: {{name: i}}, spec: {{ratioMetric: {{{ratio}}}}}}}"
    text = WHOLE.replace("indicatorRef: sli", indicator)
    assert (severity(text, "unsupported", 9, strict=True) is None) is is_counted
    assert bool(read_openslo({"f": text})[0]) is is_counted


def test_the_slices_of_ratio_timeslices_have_no_target() -> None:
    text = sliced("{target: 0.9, timeSliceTarget: 0.9, timeSliceWindow: 5m}", "RatioTimeslices")
    assert severity(text, "one-of", 11, strict=True) == "warning"


def test_a_service_needs_no_spec() -> None:
    text = "{apiVersion: openslo/v1, kind: Service, metadata: {name: a}}"
    assert read_openslo({"f": text}, strict=True) == ([], [])
