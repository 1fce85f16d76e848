"""Templates that nothing escapes from, and whose no wins."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpointer import resolve_pointer

from candor.kernel.errors import InvalidInputError
from privacy.consent.decision import Decision, Reason
from privacy.consent.standing import Standing
from privacy.reconciliation.connector import Theirs
from privacy.reconciliation.repair import Finding, finding_of
from privacy.reconciliation.template import filled, filled_path, filled_pointer, names_in

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(TEXT)
def test_a_value_stays_one_part_of_a_path(value: str) -> None:
    path = urlsplit("https://x.example.org" + filled_path("/a/{{ who }}/b", {"who": value})).path
    assert [unquote(part) for part in path.split("/")] == ["", "a", value, "b"]


@given(TEXT)
def test_a_value_stays_one_step_of_a_pointer(value: str) -> None:
    document = {"status": {value: "found"}}
    assert resolve_pointer(document, filled_pointer("/status/{{who}}", {"who": value})) == "found"


@given(TEXT)
def test_a_value_stays_inside_its_text(value: str) -> None:
    body = {"people": [{"id": "u-{{who}}", "n": 1, "x": None}]}
    assert filled(body, {"who": value}) == {"people": [{"id": f"u-{value}", "n": 1, "x": None}]}


def test_lists_and_numbers_are_put_in_place() -> None:
    body = {"ids": ["{{*others}}", "{{#one}}"], "none": ["{{*nothing}}"]}
    assert filled(body, {"others": [1, 2], "one": "3"}) == {"ids": [1, 2, 3], "none": []}
    assert names_in(body) == {"others", "one", "nothing"}
    assert names_in(7) == set()


@pytest.mark.parametrize(
    ("text", "values"),
    [("{{who}}", {}), ("{{who}}", {"who": [1]}), ("{{#who}}", {"who": "x"}), ("{{#who}}", {})],
)
def test_a_value_that_is_missing_or_of_another_kind_is_told(
    text: str, values: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError):
        filled(text, values)


def said(action: str, purpose: str = "m", channel: str = "email") -> list[tuple[Standing, ...]]:
    return [(Standing(purpose, channel, action, NOON, NOON, "e", "api", ""),)]


def decided(reason: Reason, *, allow: bool = False) -> Decision:
    return Decision(allow=allow, reason=reason, rule="r")


@pytest.mark.parametrize(
    ("ours", "theirs", "person", "finding"),
    [
        (decided("granted", allow=True), "allows", said("grant"), "agree"),
        (decided("granted", allow=True), "absent", said("grant"), "absent"),
        (decided("granted", allow=True), "denies", said("grant"), "denied_there_only"),
        (decided("withdrawn"), "denies", said("withdraw"), "agree"),
        (decided("withdrawn"), "allows", said("withdraw"), "denied_here_only"),
        (decided("expired"), "allows", said("grant"), "denied_here_only"),
        (decided("expired"), "denies", said("grant"), "denied_there_only"),
        (decided("never_asked"), "allows", [], "unproven_there"),
        (decided("never_asked"), "denies", [], "denied_there_only"),
        (decided("never_asked"), "denies", said("withdraw", channel="sms"), "denied_there_only"),
        (decided("global_opt_out"), "denies", said("object", "*", ""), "agree"),
        (decided("opt_out_default", allow=True), "denies", [], "denied_there_only"),
        (decided("legal_basis", allow=True), "denies", [], "denied_there_only"),
        (decided("legal_basis", allow=True), "denies", said("withdraw"), "agree"),
        (decided("granted", allow=True), "denies", said("withdraw"), "denied_there_only"),
    ],
)
def test_either_no_is_a_no_on_both(
    ours: Decision, theirs: Theirs, person: list[tuple[Standing, ...]], finding: Finding
) -> None:
    assert finding_of(ours, theirs, person, "m", "email", repaired=False) == finding


@pytest.mark.parametrize(
    ("ours", "person", "finding"),
    [
        (decided("granted", allow=True), said("grant"), "denied_by_repair"),
        (decided("never_asked"), [], "agree"),
        (decided("withdrawn"), said("withdraw"), "agree"),
    ],
)
def test_a_no_that_candor_wrote_is_nobodys_act(
    ours: Decision, person: list[tuple[Standing, ...]], finding: Finding
) -> None:
    assert finding_of(ours, "denies", person, "m", "email", repaired=True) == finding
