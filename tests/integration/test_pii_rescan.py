"""What was stored before anybody looked is found at rest, and rewritten as the policy wants."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.errors import UnavailableError
from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from privacy.audit.store import contents
from privacy.pii import jobs as pii_jobs
from privacy.pii import rescan_requests
from privacy.pii.rescan_places import TABLES
from privacy.pii.rescan_report import Wanted
from tests.support import pii as loaded_pii
from tests.support.asgi import Application, application_on, pii_on
from tests.support.events import native_event
from tests.support.otlp import NANO, log_request, metric_request, span_request
from tests.support.stores import NOON, FixedClock, services_on

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


@contextmanager
def guarded(shop: Application) -> Iterator[Application]:
    """Give another application on the same stores, one that masks at its doors."""
    services = shop.services
    spool = {"spool_dir": services.settings.spool_dir.with_name("other")}
    settings = services.settings.model_copy(update=spool)
    masking = replace(services, redactor=shop.pii.redactor, settings=settings)
    with application_on(masking, shop.pii) as running:
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


def plant_events(shop: Application) -> None:
    """Send three events, two of which hold personal data."""
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


def plant(shop: Application) -> None:
    """Store personal data in every kind of table."""
    plant_events(shop)
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
        json.dumps(
            telemetry.query(f"SELECT toString(tuple(*)) AS row FROM {one['name']} ORDER BY row")  # noqa: S608 - a name of ours
        )
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
        ("events_by_hour", "name", "EMAIL_ADDRESS"): 1,
        ("otel_traces", "span.name", "EMAIL_ADDRESS"): 1,
        ("otel_traces", "span.attributes.enduser", "EMAIL_ADDRESS"): 1,
        ("otel_traces", "event.attributes.to", "EMAIL_ADDRESS"): 1,
        ("otel_logs", "log.body", "EMAIL_ADDRESS"): 1,
        ("otel_logs", "log.body", "CREDIT_CARD"): 1,
        ("otel_logs", "log.attributes.caller", "EMAIL_ADDRESS"): 2,
        ("otel_metrics_gauge", "point.attributes.who", "EMAIL_ADDRESS"): 1,
        ("otel_metrics_sum", "point.attributes.who", "EMAIL_ADDRESS"): 1,
    }


def test_what_the_rollups_tell_of_a_window_is_in_it_though_their_rows_begin_before(
    shop: Application,
) -> None:
    since = NOON - timedelta(minutes=15, seconds=30)
    late = (since + timedelta(seconds=5)).isoformat()
    send_event(shop, 2, name=f"mail {MAIL}", time=late)
    shop.collector.flush()
    made = rescan(shop, since=since, applies=True)
    assert total(made, "rewritten") == 3
    assert MAIL not in everything(shop.services.telemetry)


def test_applying_rewrites_every_table_and_counts_nothing_anew(shop: Application) -> None:
    plant(shop)
    telemetry = shop.services.telemetry
    before = counts(telemetry)
    dry = rescan(shop)
    assert all(value in everything(telemetry) for value in VALUES)
    made = rescan(shop, applies=True)
    assert total(made, "rewritten") == total(dry, "changing") == 10
    text = everything(telemetry)
    assert [value for value in VALUES if value in text] == []
    assert counts(telemetry) == before
    assert places(rescan(shop)) == {}


def test_the_rows_that_were_rewritten_are_otherwise_as_they_were(shop: Application) -> None:
    plant(shop)
    telemetry = shop.services.telemetry
    text = (
        "SELECT * EXCEPT (SpanName, SpanAttributes, `Events.Attributes`),"
        " toString(Timestamp) AS at, toString(`Events.Timestamp`) AS times,"
        " SpanAttributes['clean'] AS clean FROM otel_traces"
    )
    before = telemetry.query(text)
    event = "SELECT * EXCEPT (instance, name, attributes), mapKeys(attributes) AS keys FROM events"
    events = sorted(map(str, telemetry.query(event)))
    rescan(shop, applies=True)
    assert telemetry.query(text) == before
    assert sorted(map(str, telemetry.query(event))) == events
    (row,) = telemetry.query(
        "SELECT toJSONString(attributes) AS told FROM events WHERE id LIKE '%1'"
    )
    assert json.loads(row["told"]) == {
        "email": "[EMAIL_ADDRESS]",
        "contact": '{"phone":"[PHONE_NUMBER]"}',
        "plan": "gold",
        "n": "7",
    }


def test_two_rows_of_one_instance_stay_of_one_and_two_of_two_stay_apart(shop: Application) -> None:
    for number, mail in enumerate((MAIL, MAIL, "john@example.org")):
        send_event(shop, number, instance=mail)
    shop.collector.flush()
    rescan(shop, applies=True)
    rows = shop.services.telemetry.query("SELECT instance FROM events ORDER BY id")
    first, second, third = (row["instance"] for row in rows)
    assert first == second != third
    assert first.startswith("masked-")


def test_what_a_new_event_of_a_known_id_would_be_is_known_after_the_rewrite(
    shop: Application,
) -> None:
    send_event(shop, id=f"order of {MAIL}")
    shop.collector.flush()
    rescan(shop, applies=True)
    event = native_event(id=f"order of {MAIL}")
    with guarded(shop) as later:
        assert later.post("/api/v1/events", json=event).json()["deduplicated"] == 1


class Interrupted(TelemetryStore):
    """A store on which something happens at the first statement that begins in a certain way."""

    def __init__(
        self, store: TelemetryStore, beginning: str, act: Callable[[], None], *, after: bool
    ) -> None:
        self._store = store
        self._beginning = beginning
        self._act = act
        self._after = after
        self._is_over = False

    def query(
        self, statement: str, parameters: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        return self._store.query(statement, parameters)

    def columns(
        self, statement: str, parameters: Mapping[str, object] | None = None
    ) -> list[Sequence[Any]]:
        return self._store.columns(statement, parameters)

    def command(self, statement: str, parameters: Mapping[str, object] | None = None) -> None:
        is_it = not self._is_over and statement.startswith(self._beginning)
        self._is_over = self._is_over or is_it
        if is_it and not self._after:
            self._act()
        self._store.command(statement, parameters)
        if is_it and self._after:
            self._act()

    def insert(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - as of the store
        self._store.insert(*args, **more)


def crash() -> None:
    raise UnavailableError("Killed here.")


@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("CREATE TABLE pii_rescan_rows", False),
        ("INSERT INTO pii_rescan_rows", True),
        ("RENAME TABLE", False),
        ("RENAME TABLE", True),
        ("ALTER TABLE `events` DELETE", True),
        ("ALTER TABLE `events`\nMODIFY SETTING", True),
        ("ALTER TABLE pii_rescan_ready_events MOVE", True),
        ("ALTER TABLE `events`\nRESET SETTING", False),
        ("DROP TABLE IF EXISTS pii_rescan_ready", True),
    ],
)
def test_a_rewrite_that_breaks_off_anywhere_is_finished_by_the_next(
    rewritable: Application, step: str, *, after: bool
) -> None:
    shop, telemetry = rewritable, rewritable.services.telemetry
    before = counts(telemetry)
    rescan_id = ask(shop.services, applies=True)
    broken = Interrupted(telemetry, step, crash, after=after)
    with pytest.raises(UnavailableError):
        run(shop, replace(shop.services, telemetry=broken))
    shown = telemetry.query("SELECT count() AS rows FROM events")[0]["rows"]
    assert shown == 3 or "DELETE" in step or "MO" in step  # from the deletion to the move
    run(shop)
    found = shop.get(f"/api/v1/pii/rescans/{rescan_id}").json()
    assert found["state"] == "done"
    assert total(found, "rewritten") == 5
    assert counts(telemetry) == before
    assert [value for value in VALUES if value in everything(telemetry)] == []
    assert left_behind(telemetry) == []


def left_behind(telemetry: TelemetryStore) -> list[str]:
    """Return the tables that a re-scan made, and those that it made otherwise than they were."""
    rows = telemetry.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
        " AND (name LIKE 'pii%' OR create_table_query LIKE '%max_bytes_to_merge%')"
    )
    return [str(one["name"]) for one in rows]


@pytest.mark.parametrize("table", ["events", "events_by_minute", "events_by_hour"])
def test_rows_that_arrived_before_they_left_are_not_moved_a_second_time(
    shop: Application, table: str
) -> None:
    plant_events(shop)
    shop.collector.flush()
    send_event(shop, 5, name="mail [EMAIL_ADDRESS]")  # as the rollup will tell of event 2
    shop.collector.flush()
    telemetry = shop.services.telemetry
    before = counts(telemetry)
    ready = f"pii_rescan_ready_{table}"

    def arrive() -> None:
        """Leave what the engine leaves when it is killed between the two steps of a move."""
        telemetry.command(f"ALTER TABLE {table} ATTACH PARTITION ID '202611' FROM {ready}")
        raise UnavailableError("Killed here.")

    ask(shop.services, applies=True)
    killed = Interrupted(telemetry, f"ALTER TABLE {ready} MOVE", arrive, after=False)
    with pytest.raises(UnavailableError):
        run(shop, replace(shop.services, telemetry=killed))
    run(shop)
    after = counts(telemetry)
    assert (after["events"], after["durations"]) == (before["events"], before["durations"])
    assert telemetry.query("SELECT count() AS all, uniqExact(id) AS ids FROM events") == [
        {"all": 4, "ids": 4}
    ]
    assert [value for value in VALUES if value in everything(telemetry)] == []
    assert left_behind(telemetry) == []


@pytest.fixture
def rewritable(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Application]:
    """An application with three events, two of which hold personal data in five rows."""
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    with pii_on(services) as pii:
        pii.pool._loaded = loaded_pii.loaded()
        with application_on(services, pii) as running:
            plant_events(running)
            running.collector.flush()
            yield running


@pytest.mark.parametrize(
    "step", ["INSERT INTO pii_rescan_rows", "ALTER TABLE `events` DELETE", "ALTER TABLE pii_rescan"]
)
def test_what_comes_in_meanwhile_is_kept(rewritable: Application, step: str) -> None:
    shop, telemetry = rewritable, rewritable.services.telemetry

    def send() -> None:
        send_event(shop, 4, attributes={"plan": "gold"})
        shop.collector.flush()

    ask(shop.services, applies=True)
    run(shop, replace(shop.services, telemetry=Interrupted(telemetry, step, send, after=False)))
    assert telemetry.query("SELECT count() AS rows FROM events") == [{"rows": 4}]
    assert telemetry.query("SELECT sum(events) AS sum FROM events_by_minute") == [{"sum": 4}]
    assert [value for value in VALUES if value in everything(telemetry)] == []


def test_one_that_breaks_off_again_and_again_fails_and_says_why(rewritable: Application) -> None:
    shop, services = rewritable, rewritable.services
    rescan_id = ask(services, applies=True)

    def break_off() -> None:
        broken = Interrupted(services.telemetry, "CREATE TABLE", crash, after=False)
        run(shop, replace(services, telemetry=broken))

    for _ in range(4):
        with pytest.raises(UnavailableError):
            break_off()
    break_off()
    found = shop.get(f"/api/v1/pii/rescans/{rescan_id}").json()
    assert (found["state"], found["fault"]) == ("failed", "Killed here.")


def test_a_sample_is_the_same_rows_each_time_and_from_every_partition(
    rewritable: Application,
) -> None:
    shop = rewritable
    events = [
        native_event(number, time=time, attributes={f"k{number % 50}": f"p{number}@example.org"})
        for time in ("2026-10-22T11:00:00Z", "2026-11-22T11:00:00Z")
        for number in range(1000)
    ]
    for n, event in enumerate(events):
        event["id"] = f"sampled-{n}"
    assert shop.post("/api/v1/events", json=events).json()["accepted"] == 2000
    shop.collector.flush()
    first = rescan(shop, tables=("events",), sample=300)
    (table,) = first["tables"]
    assert table["rows"] == 2003
    assert 300 <= table["scanned"] <= 750
    assert rescan(shop, tables=("events",), sample=300)["tables"] == first["tables"]
    smaller = rescan(shop, tables=("events",), sample=100)["tables"][0]
    assert smaller["scanned"] < table["scanned"]
    assert set(places({"tables": [smaller]})) <= set(places(first))
    october = rescan(shop, tables=("events",), sample=300, until=NOON - timedelta(days=20))
    assert 150 <= total(october, "scanned") <= 750
    assert total(rescan(shop, tables=("events",)), "scanned") == 2003


def test_what_the_vault_keeps_stays_as_it_is(rewritable: Application) -> None:
    shop = rewritable
    rules = [{"action": "encrypt", "paths": ["attributes.email", "attributes.first_name"]}]
    policy = {"action": "tokenise", "rules": rules}
    assert shop.request("PUT", "/api/v1/pii/policies/default", json=policy).status_code == 201
    first = rescan(shop, applies=True)
    assert total(first, "rewritten") == 5
    kept = everything(shop.services.telemetry)
    assert kept.count("tok_") >= 3
    assert "enc1." in kept
    with guarded(shop) as later:
        attributes = {"first_name": "Jane", "surname": "Doe", "note": f"to {MAIL} of Jane Doe"}
        send_event(later, 9, subject={"type": "email", "value": MAIL}, attributes=attributes)
        later.collector.flush()
    kept = everything(shop.services.telemetry)
    again = rescan(shop, applies=True)
    assert places(again) == {}
    assert everything(shop.services.telemetry) == kept


def call_it_a_mistake(shop: Application, finding: str) -> None:
    body = {"decision": "false_positive", "reason": "an order number"}
    assert shop.post(f"/api/v1/pii/findings/{finding}/triage", json=body).status_code == 200


def test_a_false_positive_is_neither_told_nor_rewritten(rewritable: Application) -> None:
    shop = rewritable
    rescan(shop)
    for one in shop.get("/api/v1/pii/findings").json():
        if one["path"] == "attributes.note":
            body = {"decision": "false_positive", "reason": "an order number"}
            assert (
                shop.post(f"/api/v1/pii/findings/{one['id']}/triage", json=body).status_code == 200
            )
    found = rescan(shop, applies=True)
    assert "attributes.note" not in {path for _, path, _ in places(found)}
    text = everything(shop.services.telemetry)
    assert CARD in text
    assert MAIL not in text


def test_a_mistake_at_a_door_stands_for_rows_whose_sender_nobody_knows(
    rewritable: Application,
) -> None:
    shop = rewritable
    with guarded(shop) as door:
        send_event(door, 7, attributes={"note": f"paid with {CARD}"})
    (seen,) = shop.get("/api/v1/pii/findings").json()
    call_it_a_mistake(shop, seen["id"])
    assert "attributes.note" not in {path for _, path, _ in places(rescan(shop))}


def test_what_a_contract_or_a_rule_speaks_of_is_declared(rewritable: Application) -> None:
    shop = rewritable
    policy = {"rules": [{"action": "mask", "paths": ["attributes.email"]}]}
    assert shop.request("PUT", "/api/v1/pii/policies/default", json=policy).status_code == 201
    found = rescan(shop, tables=("events",))
    declared = {one["path"]: one["declared"] for one in found["tables"][0]["places"]}
    assert declared == {
        "attributes.email": True,
        "attributes.contact.phone": False,
        "attributes.note": False,
        "instance": False,
        "name": False,
    }


def test_findings_at_rest_are_in_the_register_with_their_table(rewritable: Application) -> None:
    shop = rewritable
    rescan(shop, tables=("events",))
    found = {one["path"]: one for one in shop.get("/api/v1/pii/findings").json()}
    assert {one["source"] for one in found.values()} == {"stored:events"}
    assert found["attributes.email"]["sample"] == "xxxx@xxxxxxx.xxx"
    assert not any(value in json.dumps(list(found.values())) for value in VALUES)


def test_who_rewrote_what_and_why_is_in_the_audit_log(rewritable: Application) -> None:
    shop = rewritable
    body = {"apply": True, "reason": "case 4711"}
    rescan_id = shop.post("/api/v1/pii/rescans", json=body).json()["id"]
    run(shop)
    with session_of(shop.services.engine) as session:
        entries = [json.loads(content) for _, content in contents(session)]
    asked, done = (one for one in entries if one["kind"].startswith("pii_rescan"))
    assert (asked["id"], asked["by"], asked["reason"]) == (rescan_id, "test", "case 4711")
    assert (done["id"], done["state"], done["rewritten"]["events"]) == (rescan_id, "done", 2)


def test_who_may_not_put_a_policy_may_not_rewrite_by_one(rewritable: Application) -> None:
    shop = rewritable
    shop.key = shop.make_key("pii:read")
    assert shop.post("/api/v1/pii/rescans", json={"apply": True, "reason": "x"}).status_code == 403
    assert shop.get("/api/v1/pii/rescans").json() == []


@pytest.mark.parametrize(
    "body",
    [
        {"apply": True},
        {"apply": True, "reason": "for jane@example.org"},
        {"apply": True, "reason": "case 4711", "sample": 10},
        {"tables": ["quarantine"]},
        {"since": "2026-11-22T12:00:00Z", "until": "2026-11-22T12:00:00Z"},
        {"sample": 0},
    ],
)
def test_what_cannot_be_meant_is_refused(rewritable: Application, body: dict[str, Any]) -> None:
    assert rewritable.post("/api/v1/pii/rescans", json=body).status_code == 422
    assert rewritable.get("/api/v1/pii/rescans").json() == []


def test_the_past_is_not_masked_while_the_door_stands_open(rewritable: Application) -> None:
    shop, services = rewritable, rewritable.services
    settings = services.settings.model_copy(
        update={"pii": services.settings.pii.model_copy(update={"enabled": False})}
    )
    rescan_id = ask(services, applies=True)
    run(shop, replace(services, settings=settings))
    found = shop.get(f"/api/v1/pii/rescans/{rescan_id}").json()
    assert found["state"] == "failed"
    assert "CANDOR_PII__ENABLED" in found["fault"]


def test_every_column_with_texts_is_looked_into_or_known_to_hold_none(
    embedded_telemetry: TelemetryStore,
) -> None:
    rows = embedded_telemetry.query(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase()"
        " AND type LIKE '%String%' AND table IN (SELECT name FROM system.tables"
        " WHERE database = currentDatabase() AND engine LIKE '%MergeTree')"
    )
    looked_into = {(table.name, one.name) for table in TABLES for one in table.columns}
    left = {(row["table"], row["name"]) for row in rows} - looked_into
    assert {one for one in left if one[0] not in CLOSED and one[1] not in HARMLESS} == {
        ("vitals", "id"),
        ("vitals", "name"),
        ("vitals", "rating"),
        ("vitals", "parts"),
    }


CLOSED = frozenset(
    {
        "consent_decisions",  # pseudonyms and words of policies
        "otel_requests",  # digests
        "otel_traces_trace_id_ts",  # ids of traces
        "prometheus_minutes",  # digests of objectives
        "quarantine",  # sealed
        "schema_migrations",  # ours
    }
)
HARMLESS = frozenset(
    {
        *("TraceId", "SpanId", "ParentSpanId", "Links.TraceId", "Links.SpanId"),
        *("Exemplars.SpanId", "Exemplars.TraceId", "SpanKind", "StatusCode"),
        *("door", "outcome", "subject_key", "subject_type"),
    }
)


def test_a_minute_with_very_many_rows_is_read_in_parts(rewritable: Application) -> None:
    shop = rewritable
    shop.services.telemetry.command(
        "INSERT INTO checks (time, received_at, check, step) SELECT toDateTime64('2026-11-22', 3,"
        " 'UTC'), now64(3), 'shop', if(number % 1000 = 0, concat(toString(number), '@example.org'),"
        " toString(number)) FROM numbers(25000)"
    )
    found = rescan(shop, tables=("checks",), applies=True)
    assert (total(found, "scanned"), total(found, "rewritten")) == (25_000, 25)
    apart = "SELECT uniqExact(step) AS n FROM checks FINAL"  # the engine keeps one row of a step
    assert shop.services.telemetry.query(apart) == [{"n": 25_000}]
