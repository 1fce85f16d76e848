"""What becomes of the others when one Prometheus answers what it should not."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.errors import UnavailableError
from candor.kernel.objective_settings import PrometheusSettings
from candor.kernel.telemetry_store import TelemetryStore
from slo.evaluation import read_budget
from slo.openslo import read_set
from slo.prometheus import read_sources
from slo.register import all_objectives, apply_set
from slo.window import MINUTE
from tests.support.stores import NOON, FixedClock, services_on
from tests.unit.slo.test_openslo import objective

STRAY = "http://stray.example.org"
SETTINGS = PrometheusSettings.model_validate(
    {"url": "http://good.example.org", "sources": {"stray": STRAY}}
)
DATA_SOURCE = {
    "apiVersion": "openslo/v1",
    "kind": "DataSource",
    "metadata": {"name": "stray"},
    "spec": {"type": "prometheus", "connectionDetails": {}},
}
SAMPLES = [[(NOON - n * MINUTE).timestamp(), "1"] for n in range(1, 61)]
HISTOGRAM = {"metric": {"le": "x"}, "histograms": [[1, {"count": "3"}]]}


def threshold(name: str, **source: str) -> dict[str, Any]:
    metric = {"metricSource": {"type": "prometheus", "spec": {"query": "up"}} | source}
    indicator = {"metadata": {"name": name}, "spec": {"thresholdMetric": metric}}
    document = objective(indicator=indicator, objectives=[{"target": 0.9, "op": "gte", "value": 1}])
    document["metadata"]["name"] = name
    return document


def answers(stray: httpx.Response) -> httpx.Client:
    """Return a client for which one address answers as a Prometheus, and the other does not."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == httpx.URL(STRAY).host:
            return stray
        result = [HISTOGRAM, {"metric": {}, "values": SAMPLES}]
        return httpx.Response(200, json={"status": "success", "data": {"result": result}})

    return httpx.Client(transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(
    "stray",
    [
        httpx.Response(200, html="<h1>Sign in</h1>"),
        httpx.Response(200, json={"data": {"resultType": "string", "result": [1, "one"]}}),
        httpx.Response(200, json={"data": {"result": [{"values": [[1, "one"]]}]}}),
        httpx.Response(200, json=[]),
    ],
    ids=["a page", "a text", "no number", "a list"],
)
def test_what_is_no_prometheus_is_named_and_keeps_no_other_from_being_read(
    tmp_path: Path,
    sqlite: Engine,
    embedded_telemetry: TelemetryStore,
    clock: FixedClock,
    stray: httpx.Response,
) -> None:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    documents = [DATA_SOURCE, threshold("astray", metricSourceRef="stray"), threshold("up")]
    with session_of(services.engine) as session:
        apply_set(session, read_set({"f": yaml.safe_dump_all(documents)}), NOON, "lead")
        objectives = [one.objective for one in all_objectives(session)]
    with (
        answers(stray) as client,
        pytest.raises(UnavailableError, match=r"for astray \(what answers is no Prometheus"),
    ):
        read_sources(embedded_telemetry, objectives, SETTINGS, client, NOON)
    read = read_budget(embedded_telemetry, objectives[1], NOON)
    assert (read.events.good, read.events.valid) == (60, 60)
