"""What goes in by any door, in any order and any pieces, is what is stored; noise harms nothing."""

import gzip
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.routes import doors
from tests.support.asgi import Application
from tests.support.events import NOW, native_event

JSON = {"content-type": "application/json"}
SECRET = "customer-7@example.org"
RELAXED = settings(suppress_health_check=list(HealthCheck))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@dataclass(frozen=True)
class Sent:
    """One event of the model; of the same door and id, the first is the one that is stored."""

    id: str
    name: str
    step: str
    plan: str


@dataclass(frozen=True)
class Request:
    """One request of the model: its door, its events, and where its body is cut into pieces."""

    door: str
    events: list[Sent]
    cuts: list[int]


EVENTS = st.builds(
    Sent,
    id=st.sampled_from("abcdefghijkl"),
    name=TEXTS.filter(str.strip),  # Segment calls take no blank name
    step=TEXTS,
    plan=TEXTS,
)
REQUESTS = st.lists(
    st.builds(
        Request,
        door=st.sampled_from(["array", "lines", "segment", "traces"]),
        events=st.lists(EVENTS, max_size=6),
        cuts=st.lists(st.integers(1, 400), max_size=3),
    ),
    max_size=8,
)


def native(event: Sent, prefix: str) -> dict[str, Any]:
    fields = {"step": event.step, "attributes": {"plan": event.plan}}
    return native_event() | {"id": prefix + event.id, "name": event.name} | fields


def track(event: Sent, prefix: str) -> dict[str, Any]:
    properties = {"step": event.step, "plan": event.plan}
    call = {"type": "track", "event": event.name, "messageId": prefix + event.id, "userId": "u"}
    return call | {"properties": properties, "timestamp": NOW}


def span(event: Sent, prefix: str) -> dict[str, Any]:
    attributes = [
        {"key": "step", "value": {"stringValue": event.step}},
        {"key": "plan", "value": {"stringValue": event.plan}},
    ]
    ids = {"traceId": prefix, "spanId": f"{ord(event.id):016x}"}
    return ids | {"name": event.name, "attributes": attributes}


def encoded(request: Request, prefix: str) -> tuple[str, str, bytes]:
    """Return path, content type and body of a request."""
    if request.door == "lines":
        lines = "\n".join(json.dumps(native(one, prefix)) for one in request.events)
        return "/api/v1/events", "application/x-ndjson", lines.encode()
    path, body = {
        "array": ("/api/v1/events", [native(one, prefix) for one in request.events]),
        "segment": ("/v1/batch", {"batch": [track(one, prefix) for one in request.events]}),
        "traces": ("/v1/traces", spans_of([span(one, prefix) for one in request.events])),
    }[request.door]
    return path, "application/json", json.dumps(body).encode()


def spans_of(spans: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}


async def pieces(body: bytes, cuts: Sequence[int]) -> AsyncIterator[bytes]:
    start = 0
    for end in [*sorted(cuts), len(body)]:
        yield body[start:end]
        start = max(start, end)


def table_of(door: str) -> str:
    return {"segment": "segment", "traces": "traces"}.get(door, "native")


def test_any_events_in_any_pieces_by_any_doors_are_stored_as_they_were_sent(
    application: Application,
) -> None:
    @settings(RELAXED, max_examples=15)
    @given(REQUESTS)
    def send(requests: list[Request]) -> None:
        prefix = uuid.uuid4().hex
        expected: dict[tuple[str, str], Sent] = {}
        for request in requests:
            path, kind, body = encoded(request, prefix)
            answer = application.post(
                path, content=pieces(body, request.cuts), headers={"content-type": kind}
            )
            assert answer.status_code == 200, answer.text
            before = len(expected)
            for event in request.events:
                expected.setdefault((table_of(request.door), event.id), event)
            if request.door != "traces":
                assert answer.json()["accepted"] == len(expected) - before
                assert answer.json()["rejected"] == []
        application.collector.flush()
        assert stored(application, prefix) == expected

    send()


def stored(application: Application, prefix: str) -> dict[tuple[str, str], Sent]:
    """Return what the store has of one example; a second copy of anything would be an error."""
    events = application.services.telemetry.query(
        "SELECT door, id, name, step, attributes['plan'] AS plan FROM events"
        " WHERE startsWith(id, {prefix:String})",
        {"prefix": prefix},
    )
    spans = application.services.telemetry.query(
        "SELECT 'traces' AS door, char(reinterpretAsUInt8(reverse(unhex(SpanId)))) AS id,"
        " SpanName AS name, SpanAttributes['step'] AS step, SpanAttributes['plan'] AS plan"
        " FROM otel_traces WHERE TraceId = {prefix:String}",
        {"prefix": prefix},
    )
    found: dict[tuple[str, str], Sent] = {}
    for row in [*events, *spans]:
        key = (row["door"], row["id"].removeprefix(prefix))
        assert key not in found
        found[key] = Sent(key[1], row["name"], row["step"], row["plan"])
    return found


TEMPLATES = (
    json.dumps([native_event(1, subject={"type": "email", "value": SECRET})]).encode(),
    json.dumps([native_event(1, attributes={"mail": SECRET})]).encode(),
    json.dumps({"batch": [{"type": "identify", "traits": {"email": SECRET}}]}).encode(),
    json.dumps({"type": "track", "event": "x", "userId": SECRET, "writeKey": "k"}).encode(),
    json.dumps(
        spans_of([{"attributes": [{"key": "m", "value": {"stringValue": SECRET}}]}])
    ).encode(),
)
TYPES = st.sampled_from(
    ["application/json", "application/x-ndjson", "application/x-protobuf", "text/plain", ""]
)


@st.composite
def noise(draw: st.DrawFn) -> bytes:
    """Draw bytes, or a body with a personal value of which a part was overwritten."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200))
    body = draw(st.sampled_from(TEMPLATES))
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 8)))
    return body[:start] + draw(st.binary(max_size=8)) + body[end:]


def test_noise_at_any_door_is_no_server_error_and_no_answer_repeats_a_personal_value(
    application: Application,
) -> None:
    paths = sorted(path for _, path in doors(application.services, application.collector))

    @settings(RELAXED, max_examples=300)
    @given(st.sampled_from(paths), noise(), TYPES, st.booleans(), st.booleans())
    def send(path: str, body: bytes, kind: str, packed: bool, honest: bool) -> None:  # noqa: FBT001 - hypothesis draws them
        headers = {"content-type": kind}
        if packed:
            headers["content-encoding"] = "gzip"
            body = gzip.compress(body) if honest else body
        answer = application.post(path, content=body, headers=headers)
        assert answer.status_code < 500
        assert SECRET not in without_ids(answer)

    send()


def without_ids(answer: httpx.Response) -> str:
    """Return an answer without the ids of refused events, which are told as they were sent."""
    text = answer.content.decode(errors="replace")
    if not answer.headers["content-type"].startswith("application/json"):
        return text
    told = json.loads(text or "{}")
    for rejection in told.get("rejected", ()):
        rejection.pop("id", None)
        rejection.pop("messageId", None)
    return json.dumps(told)
