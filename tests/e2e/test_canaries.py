"""Canaries: a thousand people come through every door, and none of them is anywhere in clear.

Their values are looked for byte by byte in all that a server leaves behind: spool, telemetry
store, state store, log and metrics. All of them can be revealed to who may, and after the keys of
some are destroyed, theirs cannot.
"""

import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from collector.receivers.otlp_json import read_json
from tests.e2e.test_crash import ORIGIN, RUM, SERVICES, TOPIC, key_of_a_page
from tests.support.kafka_cluster import PARTITIONS, Sent, kafka_cluster, wait_until_consumed
from tests.support.server import Server, load_what_waits, query_stores, serve, serve_until_killed

PEOPLE = 1000
BATCH = 100
AT = "2026-11-22T11:00:00Z"
TOKEN = re.compile(r"tok_[A-Za-z0-9_-]{22}")
MOST_REVEALED = 500
TABLES = ("events", "otel_traces", "otel_logs", "otel_metrics_gauge", "quarantine")
POLICY = {"action": "tokenise", "rules": [{"action": "tokenise", "scope": "canaries"}]}


@dataclass(frozen=True)
class Canary:
    """A person who does not exist: a value of each kind, which nobody else has."""

    email: str
    card: str
    ssn: str
    phone: str

    def attributes(self) -> dict[str, str]:
        return {
            "email": self.email,
            "card_number": self.card,
            "ssn": self.ssn,
            "phone": self.phone,
            "q7": f"{self.email} paid with {self.card}",
        }


def luhn(digits: str) -> str:
    """Return the check digit behind these. Source: ISO/IEC 7812-1, annex B."""
    doubled = [int(one) * (2 if n % 2 == 0 else 1) for n, one in enumerate(reversed(digits))]
    return str(-sum(one - 9 if one > 9 else one for one in doubled) % 10)


def canaries() -> list[Canary]:
    dice = random.Random(4711)
    cards = dice.sample(range(10**11), PEOPLE)
    numbers = dice.sample(range(1000, 9999), PEOPLE)
    people = []
    for n, (card, number) in enumerate(zip(cards, numbers, strict=True)):
        body = f"4929{card:011d}"
        group = 10 + n % 80
        people.append(
            Canary(
                f"canary.{n}.{dice.randrange(10**6)}@example.org",
                body + luhn(body),
                f"{536 + n % 100}-{group}-{number}",
                f"+1 415 {200 + n % 700} {number}",
            )
        )
    return people


def events_of(people: Sequence[Canary], door: str) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{door}-{one.card[4:15]}-x",
            "name": "paid",
            "time": AT,
            "instance": one.email,
            "subject": {"type": "email", "value": one.email},
            "attributes": one.attributes(),
        }
        for one in people
    ]


def segment_body(people: Sequence[Canary]) -> dict[str, Any]:
    return {
        "batch": [
            {
                "type": "identify",
                "messageId": f"segment-{n}-{one.ssn[-4:]}",
                "userId": one.email,
                "timestamp": AT,
                "traits": one.attributes(),
            }
            for n, one in enumerate(people)
        ]
    }


def cloudevents_body(people: Sequence[Canary]) -> list[dict[str, Any]]:
    shared = {"specversion": "1.0", "source": "shop", "type": "paid", "time": AT}
    return [
        shared | {"id": f"ce-{one.ssn[-4:]}", "subject": one.email, "data": one.attributes()}
        for one in people
    ]


def otlp_attributes(one: Canary) -> list[dict[str, Any]]:
    return [{"key": k, "value": {"stringValue": v}} for k, v in one.attributes().items()]


def traces_body(people: Sequence[Canary]) -> dict[str, Any]:
    spans = [
        {
            "traceId": f"{n:032x}",
            "spanId": f"{n + 1:016x}",
            "name": f"pay {one.email}",
            "attributes": otlp_attributes(one),
            "events": [{"name": "sent", "attributes": otlp_attributes(one)}],
        }
        for n, one in enumerate(people, random.Random(people[0].card).randrange(2**60))
    ]
    return {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}


def logs_body(people: Sequence[Canary]) -> dict[str, Any]:
    records = [
        {
            "timeUnixNano": "1",
            "body": {"stringValue": f"card {one.card} of {one.email} was refused"},
            "attributes": otlp_attributes(one),
        }
        for one in people
    ]
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}


def metrics_body(people: Sequence[Canary]) -> dict[str, Any]:
    points = [
        {"timeUnixNano": "1", "asDouble": 1.5, "attributes": otlp_attributes(one)} for one in people
    ]
    return {
        "resourceMetrics": [
            {"scopeMetrics": [{"metrics": [{"name": "paid", "gauge": {"dataPoints": points}}]}]}
        ]
    }


def late_body(people: Sequence[Canary]) -> list[dict[str, Any]]:
    """Return events that are refused for their time, and so go to the quarantine."""
    return [
        one | {"id": f"late-{n}", "time": "2099-01-01T00:00:00Z"}
        for n, one in enumerate(events_of(people, "late"))
    ]


def batches(people: Sequence[Canary]) -> Iterator[Sequence[Canary]]:
    for since in range(0, len(people), BATCH):
        yield people[since : since + BATCH]


def send_everything(server: Server, people: Sequence[Canary], page_key: str) -> None:
    doors = (
        ("/api/v1/events", lambda some: events_of(some, "native"), "application/json"),
        ("/api/v1/events", late_body, "application/json"),
        ("/v1/batch", segment_body, "application/json"),
        ("/v1/events", cloudevents_body, "application/cloudevents-batch+json"),
        ("/v1/traces", traces_body, "application/json"),
        ("/v1/logs", logs_body, "application/json"),
        ("/v1/metrics", metrics_body, "application/json"),
    )
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=120) as client:
        for path, body, content_type in doors:
            for some in batches(people):
                content = json.dumps(body(some)).encode()
                client.post(
                    path, content=content, headers={"content-type": content_type}
                ).raise_for_status()
        for some in batches(people):
            beacons = [one | {"type": "step"} for one in events_of(some, "rum")]
            client.post(
                RUM, params={"key": page_key}, json=beacons, headers={"origin": ORIGIN}
            ).raise_for_status()
    metadata = (("authorization", f"Bearer {server.key}"),)
    with grpc.insecure_channel(server.grpc) as channel:
        for stub, request, load in SERVICES:
            body_of = {"/v1/traces": traces_body, "/v1/logs": logs_body}.get(
                load.path, metrics_body
            )
            for some in batches(people):
                message = read_json(json.dumps(body_of(some)).encode(), request)
                stub(channel).Export(message, metadata=metadata, timeout=120)


class Traces:
    """Finds what belongs to a canary in bytes, however it is written.

    The nine digits of a social security number are found by chance inside the hexadecimal
    fingerprints of a store (in one run of twenty), so they count as they are written, or as a
    number that stands alone. Longer numbers count wherever they are.
    """

    _EMAIL = re.compile(rb"canary\.\d+\.\d+@example\.org")
    _SSN = re.compile(rb"\d{3}[ -]\d{2}[ -]\d{4}|(?<![0-9a-f])\d{9}(?![0-9a-f])")
    _NUMBER = re.compile(rb"\d(?:[ -]?\d){10,}")

    def __init__(self, people: Iterable[Canary]) -> None:
        self._ssns = {digits_of(one.ssn.encode()) for one in people}
        self._numbers = {digits_of(v.encode()) for one in people for v in (one.card, one.phone)}

    def in_bytes(self, content: bytes) -> set[str]:
        found = {one.decode() for one in self._EMAIL.findall(content)}
        found |= self._ssns.intersection(map(digits_of, self._SSN.findall(content)))
        for digits in map(digits_of, self._NUMBER.findall(content)):
            for size in (11, 16):
                windows = (digits[n : n + size] for n in range(len(digits) - size + 1))
                found |= self._numbers.intersection(windows)
        return found


def digits_of(written: bytes) -> str:
    return re.sub(rb"\D", b"", written).decode()


@pytest.mark.parametrize("ssn", [b"626-80-8557", b"626 80 8557", b"626808557"])
def test_a_social_security_number_is_found_as_it_is_written_and_not_in_a_fingerprint(
    ssn: bytes,
) -> None:
    traces = Traces([Canary("canary.1.2@example.org", "4929000000000003", "626-80-8557", "")])
    assert traces.in_bytes(b"01\x00" + ssn + b"\x02of") == {"626808557"}
    assert traces.in_bytes(b"c10769626808557fdd5") == set()


def clear_values(folder: Path, traces: Traces) -> dict[str, set[str]]:
    """Return what of the canaries is found in which file."""
    found = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        values = traces.in_bytes(path.read_bytes())
        if values:
            found[str(path.relative_to(folder))] = values
    return found


def rows_by_table(folder: Path) -> dict[str, str]:
    """Return every row of each table as text: on the disk it is compressed."""
    parts = [
        f"SELECT '{table}' AS table, toString(tuple(*)) AS row FROM {table}"  # noqa: S608 - a name of ours
        for table in TABLES
    ]
    rows: dict[str, list[str]] = {table: [] for table in TABLES}
    for one in query_stores(folder, " UNION ALL ".join(parts)):
        rows[one["table"]].append(one["row"])
    return {table: json.dumps(found) for table, found in rows.items()}


def reveal(server: Server, tokens: Sequence[str]) -> dict[str, str | None]:
    revealed: dict[str, str | None] = {}
    for since in range(0, len(tokens), MOST_REVEALED):
        body = {"tokens": tokens[since : since + MOST_REVEALED], "reason": "case 4711"}
        answer = httpx.post(
            f"{server.url}/api/v1/pii/detokenize", json=body, headers=server.headers, timeout=120
        )
        answer.raise_for_status()
        revealed |= {one["token"]: one["value"] for one in answer.json()["results"]}
    return revealed


@pytest.mark.crash
def test_a_thousand_people_through_every_door_are_nowhere_in_clear_and_can_all_be_revealed(
    tmp_path: Path,
) -> None:
    people = canaries()
    traces, page_key = Traces(people), key_of_a_page(tmp_path)
    settings = {"CANDOR_VAULT__REVEALS_PER_MINUTE": "1000000", "CANDOR_LOG_LEVEL": "debug"}
    with kafka_cluster() as cluster:
        kafka = cluster.settings(f"{TOPIC}:native", "canaries")
        kept = {"CANDOR_SPOOL__SEGMENT_AGE": "PT1H"}
        with serve_until_killed(tmp_path, **settings, **kafka, **kept) as server:
            url = f"{server.url}/api/v1/pii/policies/default"
            httpx.put(url, json=POLICY, headers=server.headers).raise_for_status()
            sent = [
                Sent(json.dumps(one).encode(), n % PARTITIONS)
                for n, one in enumerate(events_of(people, "kafka"))
            ]
            cluster.produce(TOPIC, sent)
            send_everything(server, people, page_key)
            wait_until_consumed(server, 1)
            metrics = httpx.get(f"{server.url}/metrics", headers=server.headers).text
    spooled = list((tmp_path / ".candor" / "spool").iterdir())
    assert sum(path.stat().st_size for path in spooled) > 2_000_000
    assert clear_values(tmp_path, traces) == {}
    assert traces.in_bytes(metrics.encode()) == set()
    load_what_waits(tmp_path)
    assert clear_values(tmp_path, traces) == {}
    rows = rows_by_table(tmp_path)
    assert all(text != "[]" for text in rows.values())
    for table, text in rows.items():
        assert not traces.in_bytes(text.encode()), table
    emails, cards = {one.email for one in people}, {one.card for one in people}
    with serve(tmp_path, **settings) as server:
        for table in TABLES[:-1]:
            tokens = sorted(set(TOKEN.findall(rows[table])))
            shown = set(reveal(server, tokens).values())
            assert emails | cards <= shown, table
            assert None not in shown
        assert traces.in_bytes(server.log().encode()) == set()
