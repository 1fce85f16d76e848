"""What is found in payloads, wherever it hides, and what is put in its place."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.kernel.ports import PersonalValue
from privacy.pii import naming
from privacy.pii.finding import field_of, pointer
from privacy.pii.policy import Mark, Policy, Rule, mark_of, policy_of
from privacy.pii.scanning import MOST_DEPTH, TOO_DEEP, Circumstances
from privacy.pii.transform import Transformer, same_format, sample_of
from tests.support import pii
from tests.support.pii import entities_of, scan

MAIL = "jane@example.org"
CARD = 4111111111111111
OTHER_CARD = 5555555555554444


class Safe:
    """A vault that shows what it was asked."""

    def tokenise(self, values: Sequence[str], scope: str, subject_key: str = "") -> list[str]:
        return [f"tok:{scope}:{subject_key}:{len(value)}" for value in values]

    def tokenise_all(self, values: Sequence[PersonalValue], scope: str) -> list[str]:
        return [self.tokenise([one.value], scope, one.subject_key)[0] for one in values]

    def encrypt(self, values: Sequence[str], subject_key: str, field: str) -> list[str]:
        return [f"enc:{field}:{subject_key}:{len(value)}" for value in values]

    def encrypt_all(self, values: Sequence[PersonalValue]) -> list[str]:
        return [self.encrypt([one.value], one.subject_key, one.field)[0] for one in values]


@pytest.mark.parametrize(
    ("payload", "made", "found"),
    [
        ({"mail": MAIL}, {"mail": "[EMAIL_ADDRESS]"}, ["EMAIL_ADDRESS"]),
        ({"a": [{"b": MAIL}, 3]}, {"a": [{"b": "[EMAIL_ADDRESS]"}, 3]}, ["EMAIL_ADDRESS"]),
        ({"card": CARD}, {"card": "[CREDIT_CARD]"}, ["CREDIT_CARD"]),
        ({"phone": {"v": "4258828080"}}, {"phone": {"v": "[PHONE_NUMBER]"}}, ["PHONE_NUMBER"]),
        ({"phones": ["4258828080"]}, {"phones": ["[PHONE_NUMBER]"]}, ["PHONE_NUMBER"]),
        ({"x": "4258828080"}, {"x": "4258828080"}, []),
        ({"x": "at +1 425 882 8080."}, {"x": "at [PHONE_NUMBER]."}, ["PHONE_NUMBER"]),
        ({"x": "at +1 000 000 0000."}, {"x": "at +1 000 000 0000."}, []),
        ({MAIL: 1}, {"[EMAIL_ADDRESS]": 1}, ["EMAIL_ADDRESS"]),
        ({"on": True, "no": None, "n": 1.5}, {"on": True, "no": None, "n": 1.5}, []),
        (f"hello {MAIL}", "hello [EMAIL_ADDRESS]", ["EMAIL_ADDRESS"]),
        ([MAIL], ["[EMAIL_ADDRESS]"], ["EMAIL_ADDRESS"]),
        ({"firstName": "Jane"}, {"firstName": "[PERSON]"}, ["PERSON"]),
        ({"lead_surname": "X"}, {"lead_surname": "[PERSON]"}, ["PERSON"]),
        ({"date_of_birth": "1980-01-02"}, {"date_of_birth": "1980-01-02"}, []),
        ({"address": {"street": "1 High St"}}, {"address": {"street": "[LOCATION]"}}, ["LOCATION"]),
        ({"surname": "-"}, {"surname": "-"}, []),
        ({"note": "ask Jane Miller today"}, {"note": "ask [PERSON] today"}, ["PERSON"]),
        ({"note": "ask Dr. Miller today"}, {"note": "ask Dr. [PERSON] today"}, ["PERSON"]),
        ({"note": "on Windows Server today"}, {"note": "on Windows Server today"}, []),
        ({"id": "order-0192aaaa-1111-2222-3333-123456789012"}, None, []),
        ({"number": "2026-11-22T09:00:00.123Z"}, None, []),
        ({"card": f"order-{CARD}"}, {"card": "order-[CREDIT_CARD]"}, ["CREDIT_CARD"]),
    ],
)  # fmt: skip
def test_values_are_found_and_masked(payload: Any, made: Any, found: list[str]) -> None:  # noqa: ANN401 - any JSON
    done = scan(payload)
    assert done.payload == (payload if made is None else made)
    assert entities_of(done) == found


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (json.dumps({"email": MAIL}), '{"email":"[EMAIL_ADDRESS]"}'),
        (json.dumps({"a": {"b": [MAIL]}}), '{"a":{"b":["[EMAIL_ADDRESS]"]}}'),
        (r'{"email":"jane\u0040example.org"}', '{"email":"[EMAIL_ADDRESS]"}'),
        ("https://a.io/p?email=jane%40example.org&x=1", "https://a.io/p?email=[EMAIL_ADDRESS]&x=1"),
        ("https://a.io/p?phone=4258828080", "https://a.io/p?phone=[PHONE_NUMBER]"),
        (f"https://a.io/p?q={MAIL}", "https://[EMAIL_ADDRESS]"),
        ("say jane%40example.org now", "[EMAIL_ADDRESS]"),
        (base64.b64encode(f"mail {MAIL} now".encode()).decode(), "[EMAIL_ADDRESS]"),
        (
            f"e30.{base64.urlsafe_b64encode(json.dumps({'email': MAIL}).encode()).decode()}.x",
            "e30.[EMAIL_ADDRESS].x",
        ),
    ],
)
def test_what_a_text_hides_is_found(text: str, made: str) -> None:
    done = scan({"v": text})
    assert done.payload == {"v": made}
    assert {one.path for one in done.findings} == {("v",)}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        "{not json}",
        "[1, 2]",
        "https://a.io/p?a=1&b=%20",
        base64.b64encode(b"nothing to see here, really").decode(),
        base64.b64encode(bytes(range(200, 240))).decode(),
        "e30.eyJhIjoxLCJiIjoyLCJjIjozLCJkIjo0fQ.x",
        "a" * 70_000,
        "x=" + "a" * 70_000,
    ],
)
def test_what_hides_nothing_stays_as_it_is(text: str) -> None:
    done = scan({"v": text, "w": text})
    assert (done.payload, done.findings) == ({"v": text, "w": text}, [])


def test_what_is_nested_too_deeply_does_not_pass() -> None:
    payload: Any = MAIL
    for _ in range(MOST_DEPTH + 3):
        payload = {"a": payload}
    done = scan(payload)
    assert MAIL not in json.dumps(done.payload)
    assert TOO_DEEP in json.dumps(done.payload)
    assert entities_of(done) == ["TOO_DEEP"]


def test_two_keys_that_are_masked_alike_stay_two() -> None:
    done = scan({MAIL: 1, "joe@example.org": 2, "sue@example.org": 3})
    assert sorted(done.payload.values()) == [1, 2, 3]
    assert "@" not in "".join(done.payload)
    assert all("@" not in pointer(one.path) for one in done.findings)


def test_a_long_text_is_searched_in_parts_that_overlap() -> None:
    filler = "lorem ipsum " * 700
    done = scan({"v": f"{filler}{MAIL} {filler}{MAIL} {filler}"})
    assert entities_of(done) == ["EMAIL_ADDRESS", "EMAIL_ADDRESS"]
    text = done.payload["v"]
    assert (text.count("[EMAIL_ADDRESS]"), MAIL in text) == (2, False)
    solid = scan({"v": "x" * 20_000 + f" {MAIL}"})
    assert entities_of(solid) == ["EMAIL_ADDRESS"]


def test_a_payload_is_never_changed_itself() -> None:
    payload = {"mail": MAIL, "list": [MAIL]}
    scan(payload)
    assert payload == {"mail": MAIL, "list": [MAIL]}


def test_clean_texts_are_remembered_by_the_name_they_stand_under() -> None:
    kept = pii.scanner()
    about = Circumstances()
    assert kept.scan({"x": "4258828080"}, about).findings == []
    assert kept.is_known_clean("4258828080", ("x",))
    assert len(kept.scan({"phone": "4258828080"}, about).findings) == 1


ACTIONS: list[tuple[Rule, Any]] = [
    (Rule("allow"), f"to {MAIL}"),
    (Rule("drop"), None),
    (Rule("mask"), "to [EMAIL_ADDRESS]"),
    (Rule("mask", keeps_format=True), "to xxxx@xxxxxxx.xxx"),
    (Rule("quarantine"), "to [EMAIL_ADDRESS]"),
    (Rule("tokenise", scope="billing"), "to tok:billing:subject-1:16"),
    (Rule("encrypt"), "to enc:mail:subject-1:16"),
]


@pytest.mark.parametrize(("rule", "made"), ACTIONS, ids=lambda one: getattr(one, "action", ""))
def test_each_action_does_what_it_says(rule: Rule, made: str | None) -> None:
    policy = Policy(rules=(rule,))
    done = pii.scanner(policy, vault=Safe()).scan(
        {"mail": f"to {MAIL}"}, Circumstances("", "subject-1")
    )
    assert done.payload.get("mail") == made
    assert [one.action for one in done.findings] == [rule.action]
    assert (done.blocked is not None) is (rule.action == "quarantine")


def test_a_hash_is_the_same_for_the_same_value_and_keyed() -> None:
    policy = Policy(action="hash")
    one, two, other = (scan({"v": text}, policy).payload["v"] for text in (MAIL, MAIL, f"x{MAIL}"))
    assert one == two != other
    assert one.startswith("[EMAIL_ADDRESS:")
    foreign = Transformer(b"another key").digest(MAIL)
    assert foreign not in one


def test_without_a_vault_what_it_should_keep_is_masked() -> None:
    done = scan({"v": MAIL}, Policy(action="encrypt"))
    assert done.payload == {"v": "[EMAIL_ADDRESS]"}


def test_a_payload_that_is_dropped_as_a_whole_is_gone() -> None:
    done = scan(MAIL, Policy(action="drop"))
    assert (done.payload, done.is_dropped) == (None, True)
    assert scan([MAIL, 1], Policy(action="drop")).payload == [1]
    assert scan({MAIL: 1, "a": 2}, Policy(action="drop")).payload == {"a": 2}


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule("allow", frozenset({"EMAIL_ADDRESS"})), True),
        (Rule("allow", frozenset({"US_SSN"})), False),
        (Rule("allow", categories=frozenset({"contact"})), True),
        (Rule("allow", categories=frozenset({"official"})), False),
        (Rule("allow", sources=frozenset({"shop"})), True),
        (Rule("allow", sources=frozenset({"desk"})), False),
        (Rule("allow", paths=("list[].mail",)), True),
        (Rule("allow", paths=("*.mail",)), True),
        (Rule("allow", paths=("mail",)), False),
        (Rule("allow", threshold=1.0), True),
        (Rule("allow", threshold=1.1), False),
    ],
)
def test_a_rule_fits_by_all_that_it_names(rule: Rule, *, fits: bool) -> None:
    done = scan({"list": [{"mail": MAIL}]}, Policy(rules=(rule, Rule("drop"))))
    assert done.findings[0].action == ("allow" if fits else "drop")


def test_of_findings_that_overlap_the_strictest_action_counts() -> None:
    rules = (Rule("allow", frozenset({"EMAIL_ADDRESS"})), Rule("mask", frozenset({"PERSON"})))
    done = scan({"full_name": MAIL}, Policy(rules=rules))
    assert done.payload == {"full_name": "[PERSON]"}
    assert sorted(entities_of(done)) == ["EMAIL_ADDRESS", "PERSON"]


def test_marks_of_a_contract_come_before_everything() -> None:
    marks = {
        "plan": Mark("enum"),
        "raw": Mark("skip"),
        "who": Mark("personal", "PERSON"),
        "list[].x": Mark("personal", "US_SSN", "hash"),
        "note": Mark("free_text"),
        "empty": Mark("personal", "PERSON"),
        "whole": Mark("personal", "PERSON", "drop"),
    }
    payload = {
        "plan": MAIL,
        "raw": {"deep": MAIL},
        "who": {"first": "J"},
        "list": [{"x": 5}],
        "note": "Jane Miller",
        "empty": None,
        "whole": "x",
    }
    done = scan(payload, marks=marks)
    assert done.payload["plan"] == MAIL
    assert done.payload["raw"] == {"deep": MAIL}
    assert done.payload["who"] == "[PERSON]"
    assert done.payload["list"][0]["x"].startswith("[US_SSN:")
    assert done.payload["note"] == "[PERSON]"
    assert done.payload["empty"] is None
    assert "whole" not in done.payload


def test_marks_are_read_as_contracts_spell_them() -> None:
    assert mark_of({"class": "personal:US_SSN", "action": "drop"}) == Mark(
        "personal", "US_SSN", "drop"
    )
    assert mark_of({"class": "skip"}) == Mark("skip")
    assert mark_of({"class": "free_text", "action": "blur"}).action == "mask"


def test_a_policy_survives_being_written_down() -> None:
    rule = Rule("tokenise", frozenset({"US_SSN"}), frozenset({"contact"}), ("a.b",), scope="x")
    policy = Policy("one", 3, ("US_SSN",), 0.7, "keys", evidence=False, rules=(rule,))
    assert policy_of("one", 3, policy.definition()) == policy


def test_a_model_is_asked_about_free_text_alone() -> None:
    asked: list[str] = []

    def model(text: str) -> list[Any]:
        asked.append(text)
        return []

    scan({"a": "one", "b": "three words here", "c": "two words"}, model=model)
    assert asked == ["three words here"]


def test_names_are_off_where_a_policy_says_so() -> None:
    payload = {"first_name": "Jane", "note": "ask Jane Miller today"}
    assert scan(payload, Policy(names="off")).findings == []
    assert entities_of(scan(payload, Policy(names="keys"))) == ["PERSON"]


def test_a_literal_text_hides_nothing() -> None:
    text = json.dumps({"email": MAIL})
    done = scan(text, literal=True)
    finding = done.findings[0].finding
    assert text[finding.start : finding.end] == MAIL


def test_lists_of_names_are_of_many_countries() -> None:
    assert {"jane", "jürgen", "piotr"} <= naming.first_names()
    assert {"miller", "müller"} <= naming.last_names()


def test_places_are_told_as_pointers_and_fields() -> None:
    assert pointer(("a/b", "0", "c~d")) == "/a~1b/0/c~0d"
    assert field_of(("a", "0", "1", "b")) == "a[].b"
    assert field_of(("0", "a")) == "0.a"


def test_a_sample_shows_no_more_than_the_shape() -> None:
    assert same_format("Jane-1") == "Xxxx-0"
    assert sample_of("a" * 100) == "x" * 40 + "…"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just(MAIL),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(payload=JSON)
def test_whatever_the_payload_no_address_survives_and_a_second_scan_finds_none(
    payload: Any,  # noqa: ANN401 - any JSON
) -> None:
    done = scan(payload)
    assert MAIL not in json.dumps(done.payload)
    assert scan(done.payload).payload == done.payload
