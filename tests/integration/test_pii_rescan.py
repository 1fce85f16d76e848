"""What was stored before anybody looked is found at rest, and rewritten as the policy wants."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from privacy.pii import jobs as pii_jobs
from privacy.pii import rescan_requests
from privacy.pii.rescan_report import Wanted
from tests.support import pii as loaded_pii
from tests.support.asgi import Application, application_on, pii_on
from tests.support.events import native_event
from tests.support.otlp import NANO, log_request, metric_request, span_request
from tests.support.stores import FixedClock, services_on

MAIL, CARD, PHONE = "jane@example.org", "4111111111111111", "+1 415 555 2671"
PROTOBUF = {"content-type": "application/x-protobuf"}
VALUES = (MAIL, CARD, PHONE)


@pytest.fixture
def shop(
    tmp_path: Path, sqlite: Engine, telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Application]:
    """An application that masks nothing at its doors, as one of an earlier time."""
    services = services_on(tmp_path, sqlite, telemetry, clock)
    with pii_on(services) as pii:
        pii.pool._loaded = loaded_pii.loaded()
        with application_on(services, pii) as running:
            yield running


def send_event(shop: Application, number: int = 0, **more: Any) -> None:  # noqa: ANN401 - any field
    event = native_event(**({"id": f"event-{number}"} | more))
    assert shop.post("/api/v1/events", json=event).json()["accepted"] == 1


def send_otlp(shop: Application) -> None:
    spans = span_request({"enduser": MAIL, "clean": "yes"})
    span = spans.resource_spans[0].scope_spans[0].spans[0]
    span.name = f"pay {MAIL}"
    event = span.events.add(name="sent", time_unix_nano=NANO + 5)
    event.attributes.add(key="to").value.string_value = MAIL
    metrics = metric_request()
    for metric in metrics.resource_metrics[0].scope_metrics[0].metrics:
        if metric.name in ("gauge", "sum"):
            points = getattr(metric, metric.name).data_points
            points[0].attributes.add(key="who").value.string_value = MAIL
    logs = log_request(f"card {CARD} of {MAIL} was refused", "all is well", caller=MAIL)
    for path, body in (("traces", spans), ("logs", logs), ("metrics", metrics)):
        answer = shop.post(f"/v1/{path}", content=body.SerializeToString(), headers=PROTOBUF)
        assert answer.status_code == 200


def plant(shop: Application) -> None:
    """Store personal data in every kind of table."""
    send_event(
        shop,
        1,
        instance=MAIL,
        attributes={"email": MAIL, "contact": {"phone": PHONE}, "plan": "gold", "n": 7},
    )
    send_event(
        shop,
        2,
        name=f"mail {MAIL}",
        subject={"type": "email", "value": MAIL},
        duration_ms=120,
        attributes={"note": f"paid with {CARD}"},
    )
    send_event(shop, 3, attributes={"plan": "gold"})
    send_otlp(shop)
    shop.collector.flush()


def ask(services: Services, **wanted: Any) -> str:  # noqa: ANN401 - as Wanted
    reason = "case 4711" if wanted.get("applies") else ""
    with session_of(services.engine) as session:
        made = rescan_requests.request_rescan(
            session, Wanted(**wanted), reason=reason, author="test", at=services.clock()
        )
    return str(made["id"])


def run(shop: Application, services: Services | None = None) -> None:
    (job,) = pii_jobs.jobs(shop.pii)
    job.run(services or shop.services)


def rescan(shop: Application, **wanted: Any) -> dict[str, Any]:  # noqa: ANN401 - as Wanted
    """Return a finished re-scan."""
    rescan_id = ask(shop.services, **wanted)
    run(shop)
    answer = shop.get(f"/api/v1/pii/rescans/{rescan_id}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    assert found["state"] == "done", found["fault"]
    return found


def places(found: Mapping[str, Any]) -> dict[tuple[str, str, str], int]:
    return {
        (one["table"], place["path"], place["entity"]): place["rows"]
        for one in found["tables"]
        for place in one["places"]
    }


def total(found: Mapping[str, Any], name: str) -> int:
    return sum(one[name] for one in found["tables"])


def everything(telemetry: TelemetryStore) -> str:
    """Return every row of every table as text."""
    tables = telemetry.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
        " AND engine LIKE '%MergeTree' ORDER BY name"
    )
    return "\n".join(
        json.dumps(telemetry.query(f"SELECT toString(tuple(*)) AS row FROM {one['name']}"))  # noqa: S608 - a name of ours
        for one in tables
    )


def counts(telemetry: TelemetryStore) -> dict[str, Any]:
    rows = telemetry.query(
        "SELECT table, sum(rows) AS rows FROM system.parts"
        " WHERE database = currentDatabase() AND active GROUP BY table ORDER BY table"
    )
    sums = telemetry.query(
        "SELECT sum(events) AS events, sum(arraySum(mapValues(durations))) AS durations"
        " FROM events_by_minute"
    )
    return {row["table"]: row["rows"] for row in rows if row["rows"]} | sums[0]


def test_a_full_rescan_finds_what_is_stored_at_its_places(shop: Application) -> None:
    plant(shop)
    found = places(rescan(shop))
    assert found == {
        ("events", "instance", "EMAIL_ADDRESS"): 1,
        ("events", "name", "EMAIL_ADDRESS"): 1,
        ("events", "attributes.email", "EMAIL_ADDRESS"): 1,
        ("events", "attributes.contact.phone", "PHONE_NUMBER"): 1,
        ("events", "attributes.note", "CREDIT_CARD"): 1,
        ("events_by_subject", "name", "EMAIL_ADDRESS"): 1,
        ("events_by_minute", "name", "EMAIL_ADDRESS"): 1,
        ("otel_traces", "span.name", "EMAIL_ADDRESS"): 1,
        ("otel_traces", "span.attributes.enduser", "EMAIL_ADDRESS"): 1,
        ("otel_traces", "event.attributes.to", "EMAIL_ADDRESS"): 1,
        ("otel_logs", "log.body", "EMAIL_ADDRESS"): 1,
        ("otel_logs", "log.body", "CREDIT_CARD"): 1,
        ("otel_logs", "log.attributes.caller", "EMAIL_ADDRESS"): 2,
        ("otel_metrics_gauge", "point.attributes.who", "EMAIL_ADDRESS"): 1,
        ("otel_metrics_sum", "point.attributes.who", "EMAIL_ADDRESS"): 1,
    }


def test_applying_rewrites_every_table_and_counts_nothing_anew(shop: Application) -> None:
    plant(shop)
    telemetry = shop.services.telemetry
    before = counts(telemetry)
    dry = rescan(shop)
    assert all(value in everything(telemetry) for value in VALUES)
    made = rescan(shop, applies=True)
    assert total(made, "rewritten") == total(dry, "changing") == 9
    text = everything(telemetry)
    assert [value for value in VALUES if value in text] == []
    assert counts(telemetry) == before
    assert places(rescan(shop)) == {}
