"""Whatever is asked of the documented API, the answer is documented and no server error."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from candor.app import create_framework
from tests.support.asgi import Application

SCHEMA = schemathesis.openapi.from_dict(create_framework().openapi())
RESULTS: list[Any] = list(SCHEMA.get_all_operations())
OPERATIONS = {f"{one.ok().method.upper()} {one.ok().path}": one.ok() for one in RESULTS}


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_answer_is_documented_and_none_is_a_server_error(
    name: str, application: Application
) -> None:
    documented = set(OPERATIONS[name].definition.raw["responses"])

    @settings(max_examples=20, suppress_health_check=list(HealthCheck))
    @given(case=OPERATIONS[name].as_strategy())
    def ask(case: Any) -> None:  # noqa: ANN401 - schemathesis' case
        options = case.as_transport_kwargs(base_url="http://candor")
        headers = dict(options.get("headers") or {}) | {
            "authorization": f"Bearer {application.key}"
        }
        answer = application.request(
            options["method"],
            options["url"],
            params=options.get("params"),
            headers=headers,
            json=options.get("json"),
        )
        assert answer.status_code < 500
        assert str(answer.status_code) in documented

    ask()
