from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from candor.kernel.errors import InvalidInputError
from collector.check import (
    Body,
    Check,
    CheckResult,
    Expectation,
    FromEnvironment,
    Request,
    Save,
    fill,
    places_in,
)
from collector.receivers.synthetic_file import open_checks, read_checks, require_environment
from tests.support.stores import NOON

WHOLE = """
checks:
  - name: checkout
    journey: checkout
    every: 5m
    timeout: 8s
    variables:
      {base: "https://shop.example.org", sku: "A-1", count: 0, password: {env: SHOP_PASSWORD}}
    steps:
      - name: start
        timeout: 2s
        request:
          method: post
          url: "{{base}}/cart"
          json: {sku: "{{sku}}", lines: [{count: "{{ count }}"}], note: null}
          headers: {authorization: "Basic {{password}}"}
          follow_redirects: false
        expect:
          {status: [200, 201], max_ms: 800, contains: text, header: {x: "1"},
           json: {"/ok": true, "/error": null}}
        save: {cart: {json: /cart/id}, token: {header: x-token}, csrf: {regex: "value=(\\\\w+)"}}
      - name: pay
        request: {url: "{{base}}/cart/{{cart}}"}
"""


def read(text: str) -> tuple[list[Check], list[tuple[int, str, str]]]:
    checks, findings = read_checks({"f.yaml": text})
    return checks, [(one.line, one.path, one.rule) for _, one in findings]


def check(step: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML
    steps = [{"name": "s", "request": {"url": "http://x.example"}} | (step or {})]
    return {"name": "c", "steps": steps} | changes


def faults(*checks: dict[str, Any]) -> set[tuple[str, str]]:
    _, found = read(yaml.safe_dump({"checks": list(checks)}))
    return {(path.removeprefix("checks[0]."), rule) for _, path, rule in found}


def test_a_whole_check_is_read() -> None:
    (found,), findings = read(WHOLE)
    assert findings == []
    assert (found.name, found.journey, found.every) == (
        "checkout",
        "checkout",
        timedelta(minutes=5),
    )
    assert found.variables == {
        "base": "https://shop.example.org",
        "sku": "A-1",
        "count": 0,
        "password": FromEnvironment("SHOP_PASSWORD"),
    }
    start, pay = found.steps
    assert start.request == Request(
        method="POST",
        url="{{base}}/cart",
        headers={"authorization": "Basic {{password}}"},
        body=Body("json", {"sku": "{{sku}}", "lines": [{"count": "{{ count }}"}], "note": None}),
        follows_redirects=False,
    )
    assert start.expect == Expectation(
        frozenset({200, 201}), 800.0, {"x": "1"}, ("text",), {"/ok": True, "/error": None}
    )
    assert start.saves == (
        Save("cart", "json", "/cart/id"),
        Save("token", "header", "x-token"),
        Save("csrf", "regex", r"value=(\w+)"),
    )
    assert (start.timeout.seconds, pay.timeout.seconds) == (2, 8)
    assert (pay.request.method, pay.request.body) == ("GET", None)


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (check(every="often"), ("every", "format")),
        (check(timeout="6m"), ("timeout", "range")),
        (check(name="a b"), ("name", "format")),
        (check(colour="red"), ("colour", "unknown-field")),
        (check(steps=[]), ("steps", "required")),
        (check(variables={"1a": "x"}), ("variables.1a", "format")),
        (check(variables={"a": {"file": "x"}}), ("variables.a", "required")),
        (check({"name": None}), ("steps[0]", "required")),
        (check({"request": None}), ("steps[0]", "required")),
        (check({"request": {}}), ("steps[0].request", "required")),
        (check({"request": {"url": "ftp://x"}}), ("steps[0].request.url", "format")),
        (check({"request": {"url": "http://x", "method": "EAT"}}),
         ("steps[0].request.method", "one-of")),
        (check({"request": {"url": "http://x", "json": 1, "text": "a"}}),
         ("steps[0].request", "one-of")),
        (check({"request": {"url": "http://x/{{id}}"}}),
         ("steps[0].request.url", "unknown-variable")),
        (check({"request": {"url": "http://x", "json": {"a": ["{{id}}"]}}}),
         ("steps[0].request.json", "unknown-variable")),
        (check({"request": {"url": "http://x", "headers": {"a": "{{id}}"}}}),
         ("steps[0].request.headers.a", "unknown-variable")),
        (check({"expect": {"status": 42}}), ("steps[0].expect.status", "range")),
        (check({"expect": {"status": "ok"}}), ("steps[0].expect.status", "type")),
        (check({"expect": {"json": []}}), ("steps[0].expect.json", "type")),
        (check({"expect": {"json": {"/a": [1]}}}), ("steps[0].expect.json./a", "type")),
        (check({"expect": {"max_ms": 0}}), ("steps[0].expect.max_ms", "range")),
        (check({"expect": {"json": {"ok": True}}}), ("steps[0].expect.json.ok", "format")),
        (check({"expect": {"contains": ["{{later}}"]}, "save": {"later": {"header": "x"}}}),
         ("steps[0].expect.contains", "unknown-variable")),
        (check({"save": {"a": {"xpath": "/"}}}), ("steps[0].save.a", "one-of")),
        (check({"save": {"a": {"json": "cart"}}}), ("steps[0].save.a.json", "format")),
        (check({"save": {"a": {"regex": "("}}}), ("steps[0].save.a.regex", "format")),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_its_path_and_rule(
    wrong: dict[str, Any], fault: tuple[str, str]
) -> None:
    assert fault in faults(wrong)
    assert read(yaml.safe_dump({"checks": [wrong]}))[0] == []


def test_names_are_unique_over_all_files_and_lines_are_those_of_the_file() -> None:
    text = "checks:\n- {name: a, steps: [{name: s, request: {url: 'http://x'}}]}\n"
    checks, findings = read_checks({"one": text, "two": text})
    assert [one.name for one in checks] == ["a"]
    assert [(file, one.line, one.rule) for file, one in findings] == [("two", 2, "duplicate")]


def test_what_is_no_document_of_checks_is_a_fault() -> None:
    assert read("{}")[1] == [(1, "", "required")]
    assert read("checks: []")[1] == [(1, "checks", "required")]
    assert read("a: [")[1][0][2] == "yaml"


def test_a_file_that_cannot_be_used_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("checks:\n- {name: a}\n")
    with pytest.raises(InvalidInputError, match=r"bad\.yaml:2: checks\[0\]: steps must hold"):
        open_checks([tmp_path / "bad.yaml"])
    with pytest.raises(InvalidInputError, match="cannot be read"):
        open_checks([tmp_path / "none.yaml"])


def test_a_variable_that_the_environment_lacks_is_named_before_anything_runs() -> None:
    (found,), _ = read(WHOLE)
    with pytest.raises(InvalidInputError, match="SHOP_PASSWORD"):
        require_environment([found], {})
    require_environment([found], {"SHOP_PASSWORD": ""})


def test_places_are_filled_everywhere_and_a_whole_place_keeps_its_type() -> None:
    template = {"{{k}}": ["{{n}}", "n={{n}}, {{yes}}", {"deep": "{{k}}"}, 5, None]}
    assert places_in(template) == {"k", "n", "yes"}
    filled = fill(template, {"k": "key", "n": 7, "yes": True})
    assert filled == {"key": [7, "n=7, true", {"deep": "key"}, 5, None]}


def test_a_result_is_the_same_when_the_same_run_is_walked_again() -> None:
    def result(**changes: Any) -> CheckResult:  # noqa: ANN401 - any field
        fields: dict[str, Any] = {
            "time": NOON, "received_at": NOON, "check": "c", "journey": "", "step": "s",
            "location": "l", "outcome": "ok", "reason": "", "ends_run": True, "status": 200,
            "duration_ms": 1.0, "first_byte_ms": 1.0, "connect_ms": None, "tls_ms": None,
        }  # fmt: skip
        return CheckResult(**fields | changes)

    later = result(received_at=NOON + timedelta(seconds=9), outcome="error")
    assert result().identity == later.identity
    others = [result(time=NOON + timedelta(minutes=1)), result(step="t"), result(location="m")]
    assert len({one.identity for one in [result(), *others]}) == 4
