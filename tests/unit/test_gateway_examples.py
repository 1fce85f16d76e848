"""The shipped configurations of gateways fail closed, and say nothing that their gateway lacks."""

import importlib
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from privacy.consent import gateway

DEPLOY = Path(__file__).parents[2] / "deploy"
ENVOY = sorted((DEPLOY / "envoy").glob("*.yaml"))


def message(type_url: str) -> Any:  # noqa: ANN401 - a class of the published API
    """Return the class of a message, compiled from Envoy's published protobufs."""
    package, _, name = type_url.removeprefix("type.googleapis.com/").rpartition(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how its classes are validated
        module = importlib.import_module(f"envoy_data_plane.{package}")
    return getattr(module, name)


def check(node: Any) -> Any:  # noqa: ANN401 - any YAML value
    """Hold every typed configuration in a document against its message; return it without them.

    Raises:
        KeyError: a field is none of its message.
    """
    if isinstance(node, list):
        return [check(one) for one in node]
    if not isinstance(node, dict):
        return node
    left = {key: check(value) for key, value in node.items()}
    if "@type" in left:
        message(left.pop("@type")).from_dict(left)
        return {}
    return {key: value for key, value in left.items() if value != {} or node[key] == {}}


@pytest.mark.parametrize("path", ENVOY, ids=lambda path: path.name)
def test_every_field_of_an_example_for_envoy_is_one_of_its_api(path: Path) -> None:
    document = check(yaml.safe_load(path.read_text(encoding="utf-8")))
    if "static_resources" in document:
        message("envoy.config.bootstrap.v3.Bootstrap").from_dict(document)
    with pytest.raises(KeyError):
        check({"@type": "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz", "failure": True})


@pytest.mark.parametrize("path", ENVOY, ids=lambda path: path.name)
def test_an_example_for_envoy_fails_closed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "failure_mode_allow: false" in text
    assert "code: Forbidden" in text


def test_the_example_for_envoy_knows_one_spelling_of_a_path() -> None:
    document = yaml.safe_load((DEPLOY / "envoy" / "envoy.yaml").read_text(encoding="utf-8"))
    for listener in document["static_resources"]["listeners"]:
        for chain in listener["filter_chains"]:
            told = chain["filters"][0]["typed_config"]
            assert (told["normalize_path"], told["merge_slashes"]) == (True, True)
            assert told["path_with_escaped_slashes_action"] == "REJECT_REQUEST"


def test_the_example_for_nginx_hands_obligations_on() -> None:
    text = (DEPLOY / "nginx" / "candor.conf").read_text(encoding="utf-8")
    assert "proxy_set_header X-Candor-Obligations $candor_obligations;" in text
    assert "auth_request_set $candor_obligations $upstream_http_x_candor_obligations;" in text


def test_the_example_for_kong_asks_the_door_with_the_headers_that_it_takes() -> None:
    text = (DEPLOY / "kong" / "kong.yaml").read_text(encoding="utf-8")
    (service,) = yaml.safe_load(text)["services"]
    (plugin,) = service["routes"][0]["plugins"]
    (code,) = plugin["config"]["access"]
    assert re.search(r"/ext_authz/[a-z]+/[a-z]+\"", code)
    known = {gateway.SUBJECT_TYPE, gateway.SUBJECT, gateway.RECIPIENT, gateway.DECISION_ID}
    known.add(gateway.OBLIGATIONS)
    assert 'set_header("X-Candor-Obligations", obligations)' in code
    assert 'clear_header("X-Candor-Obligations")' in code
    named = {one.lower() for one in re.findall(r"X-Candor-[A-Za-z-]+", code)}
    assert named <= known
    assert {gateway.SUBJECT, gateway.SUBJECT_TYPE} <= named
    assert "answer.status ~= 200" in code


def test_the_example_of_purposes_has_a_text_wherever_a_yes_is_needed() -> None:
    example = yaml.safe_load((DEPLOY.parent / "examples" / "consent.yaml").read_text("utf-8"))
    covered = {key for notice in example["notices"].values() for key in notice["purposes"]}
    needed = {key for key, one in example["purposes"].items() if one["mechanism"] == "opt_in"}
    assert needed == covered


def test_the_example_of_purposes_has_what_every_gateway_asks_for() -> None:
    shipped = [path.read_text(encoding="utf-8") for path in DEPLOY.rglob("*") if path.is_file()]
    asked = {found for text in shipped for found in re.findall(r"ext_authz/([a-z]+)/[a-z]", text)}
    asked |= {found for text in shipped for found in re.findall(r"  purpose: ([a-z]+)", text)}
    example = DEPLOY.parent / "examples" / "consent.yaml"
    assert {"newsletter", "personalisation"} <= asked
    assert asked <= yaml.safe_load(example.read_text(encoding="utf-8"))["purposes"].keys()
