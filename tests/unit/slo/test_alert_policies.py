"""Alert policies of OpenSLO: how they combine conditions, and what they make of an objective."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from candor.cli import app
from candor.kernel.errors import InvalidInputError
from slo.alert_expression import alternatives
from slo.alerting import Rules, signals_of
from slo.budget import EventCounts
from slo.burn_rule import BurnCondition, Policy
from slo.definition import definition_of, objective_from
from slo.objective import Objective
from slo.openslo import has_errors, read_openslo
from tests.unit.slo.test_openslo import objective

HOUR, FIVE_MINUTES = timedelta(hours=1), timedelta(minutes=5)
NAMES = ("a", "b", "c", "d")

expressions = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: st.builds(
        lambda word, parts: "(" + f" {word} ".join(parts) + ")",
        st.sampled_from(("and", "or")),
        st.lists(inner, min_size=2, max_size=3),
    ),
    max_leaves=6,
)


@given(expressions, st.sets(st.sampled_from(NAMES)))
def test_an_expression_holds_when_one_of_its_groups_does(text: str, held: set[str]) -> None:
    groups = alternatives(text)
    expected = eval(text, {name: name in held for name in NAMES})  # noqa: S307 - made above
    assert any(held.issuperset(group) for group in groups) == expected


def test_and_binds_tighter_than_or() -> None:
    assert alternatives("a or b and c") == [("a",), ("b", "c")]
    assert alternatives("(a or b) and c") == [("a", "c"), ("b", "c")]


@pytest.mark.parametrize(
    "text", ["", "and", "a b", "a and", "(a", "a)", "a & b", "()", "a or or b", "not a"]
)
def test_what_is_no_expression_is_told_how_to_be_one(text: str) -> None:
    with pytest.raises(InvalidInputError, match="by and, or and brackets"):
        alternatives(text)


def test_an_expression_may_not_explode() -> None:
    text = " and ".join(f"(a{number} or b{number})" for number in range(7))
    with pytest.raises(InvalidInputError, match="too many alternatives"):
        alternatives(text)


def condition(name: str, *, lookback: str, threshold: object, **more: object) -> dict[str, Any]:
    burns = {"kind": "burnrate", "op": "gt", "threshold": threshold, "lookbackWindow": lookback}
    spec = {"severity": "page", "condition": burns | more}
    return document("AlertCondition", name, spec)


def document(kind: str, name: str, spec: dict[str, Any], **annotations: str) -> dict[str, Any]:
    metadata = {"name": name, "annotations": annotations} if annotations else {"name": name}
    return {"apiVersion": "openslo/v1", "kind": kind, "metadata": metadata, "spec": spec}


def policy(name: str = "burns", condition_name: str = "hour", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - YAML
    annotations = more.pop("annotations", {})
    spec = {
        "conditions": [{"conditionRef": condition_name}],
        "notificationTargets": [{"targetRef": "on-call"}],
    }
    return document("AlertPolicy", name, spec | more, **annotations)


TARGET = document("AlertNotificationTarget", "on-call", {"target": "webhook:1"})
CONDITIONS = [
    condition("hour", lookback="1h", threshold=10, alertAfter="2m"),
    condition("minutes", lookback="5m", threshold=10),
    condition("day", lookback="1d", threshold=3),
]


def guarded(*policies: dict[str, Any]) -> list[dict[str, Any]]:
    names = [{"alertPolicyRef": one["metadata"]["name"]} for one in policies]
    slo = objective()
    slo["spec"]["alertPolicies"] = names
    return [slo, *policies, *CONDITIONS, TARGET]


def read(documents: list[dict[str, Any]]) -> Objective:
    objectives, findings = read_openslo({"f": yaml.safe_dump_all(documents)})
    assert not has_errors(findings), findings
    return objectives[0]


def test_a_policy_alerts_by_its_condition_and_tells_its_targets() -> None:
    (made,) = read(guarded(policy())).policies
    (rule,) = made.rules
    assert rule.conditions == (BurnCondition(HOUR, Fraction(10)),)
    assert (made.name, made.severity, made.targets) == ("burns", "page", ("webhook:1",))
    assert made.pending_for == timedelta(minutes=2)
    assert (made.tells_end, made.no_data_within) == (True, None)


def test_an_annotation_combines_conditions_in_the_place_of_the_one() -> None:
    combined = {"candor.dev/condition": "hour and minutes or day"}
    (made,) = read(guarded(policy(annotations=combined))).policies
    assert [[one.lookback for one in rule.conditions] for rule in made.rules] == [
        [HOUR, FIVE_MINUTES],
        [timedelta(days=1)],
    ]


@pytest.mark.parametrize(
    ("text", "rule"), [("hour and nobody", "reference"), ("hour &", "annotation")]
)
def test_a_combination_that_cannot_be_followed_is_named_with_its_line(text: str, rule: str) -> None:
    documents = guarded(policy(annotations={"candor.dev/condition": text}))
    _, findings = read_openslo({"f": yaml.safe_dump_all(documents)})
    fault = next(one for _, one in findings if one.severity == "error")
    assert (fault.rule, fault.path) == (rule, "metadata.annotations.candor.dev/condition")
    assert fault.line > 1


def test_the_flags_of_a_policy_say_what_is_told() -> None:
    flags: dict[str, Any] = {
        "alertWhenBreaching": False,
        "alertWhenResolved": False,
        "alertWhenNoData": True,
    }
    (made,) = read(guarded(policy(**flags))).policies
    assert (made.rules, made.tells_end, made.no_data_within) == ((), False, HOUR)


def test_an_objective_with_policies_comes_back_from_its_definition_the_same() -> None:
    combined = policy("both", annotations={"candor.dev/condition": "hour and minutes or day"})
    silent = policy("silent", alertWhenNoData=True)
    made = read(guarded(combined, silent))
    assert objective_from(definition_of(made)) == made
    assert len(made.policies) == 2


def test_the_definition_of_an_objective_without_policies_does_not_name_them() -> None:
    assert not {"policies", "disabled_tiers"} & definition_of(read([objective()])).keys()


def test_tiers_are_disabled_by_name() -> None:
    slo = objective()
    slo["metadata"]["annotations"] = {"candor.dev/disabled-tiers": "slow, long"}
    made = read([slo])
    assert made.disabled_tiers == {"slow", "long"}
    assert objective_from(definition_of(made)) == made


def test_tiers_that_fire_too_early_can_be_disabled_as_the_warning_says() -> None:
    slo = objective()
    slo["spec"]["timeWindow"] = [{"duration": "1w", "isRolling": True}]
    _, findings = read_openslo({"f": yaml.safe_dump(slo)})
    (warning,) = (one for _, one in findings)
    assert warning.rule == "factor-below-one"
    assert "slow, long. Disable them (candor.dev/disabled-tiers)" in warning.message
    slo["metadata"]["annotations"] = {"candor.dev/disabled-tiers": "slow, long"}
    assert read_openslo({"f": yaml.safe_dump(slo)})[1] == []


def test_a_warning_about_tiers_names_a_command_that_runs() -> None:
    slo = objective()
    slo["spec"]["timeWindow"] = [{"duration": "1w", "isRolling": True}]
    _, findings = read_openslo({"f": yaml.safe_dump(slo)})
    ((_, warning),) = findings
    command = warning.message.split("`")[1]
    assert command == "candor slo tiers --target 0.999 --window 7d --shares 2,5,10,10"
    shown = CliRunner().invoke(app, command.split()[1:])
    assert shown.exit_code == 0
    assert "slow" in shown.stdout


def test_a_condition_that_alerts_after_zero_is_told_to_say_nothing() -> None:
    slow = condition("slow", lookback="1h", threshold=2, alertAfter="0m")
    _, findings = read_openslo({"f": yaml.safe_dump(slow)})
    ((_, fault),) = findings
    assert fault.path == "spec.condition.alertAfter"
    assert "longer than zero" in fault.message
    assert "Leave alertAfter out" in fault.message


def signals(listened: Policy, **counts: EventCounts) -> dict[str, bool]:
    lengths = {HOUR: counts["hour"], FIVE_MINUTES: counts["minutes"], timedelta(days=30): WHOLE}
    told = signals_of(Rules((), policies=(listened,)), Decimal("0.99"), timedelta(days=30), lengths)
    return {one.kind: one.active for one in told}


WHOLE = EventCounts(9000, 10000)
CLEAN, BROKEN, SILENT = EventCounts(100, 100), EventCounts(50, 100), EventCounts(0, 0)


def test_conditions_of_a_group_must_hold_together() -> None:
    combined = policy(annotations={"candor.dev/condition": "hour and minutes"})
    (both,) = read(guarded(combined)).policies
    assert signals(both, hour=BROKEN, minutes=CLEAN) == {"burn": False}
    assert signals(both, hour=BROKEN, minutes=BROKEN) == {"burn": True}


def test_a_policy_may_alert_of_silence() -> None:
    (silent,) = read(guarded(policy(alertWhenNoData=True))).policies
    assert signals(silent, hour=SILENT, minutes=SILENT) == {"burn": False, "no_data": True}
    assert signals(silent, hour=CLEAN, minutes=SILENT) == {"burn": False, "no_data": False}


@pytest.mark.parametrize(
    ("op", "burn", "holds"),
    [("gt", 10, False), ("gte", 10, True), ("lt", 10, False), ("lte", 10, True), ("lt", 9, True)],
)
def test_a_condition_compares_as_its_operator_says(op: str, burn: int, *, holds: bool) -> None:
    conditions = [condition("hour", lookback="1h", threshold=10, op=op)]
    slo = guarded(policy())
    documents = [one for one in slo if one["metadata"]["name"] != "hour"] + conditions
    (made,) = read(documents).policies
    assert made.rules[0].conditions[0].holds_at(Fraction(burn)) is holds
