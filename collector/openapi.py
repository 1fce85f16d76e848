"""What the hot doors look like in the OpenAPI document; they are not the framework's own routes."""

from typing import Any

from collector.receivers.cloudevents import BATCH, STRUCTURED
from collector.receivers.segment_call import CallType

_ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["accepted", "deduplicated", "quarantined", "rejected"],
    "properties": {
        "accepted": {"type": "integer"},
        "deduplicated": {"type": "integer"},
        "quarantined": {"type": "integer"},
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "index": {"type": "integer"},
                    "id": {"type": ["string", "null"]},
                    "code": {"type": "string"},
                    "path": {"type": ["string", "null"]},
                    "message": {"type": "string"},
                    "quarantine_id": {"type": ["string", "null"]},
                },
            },
        },
    },
}
_PROBLEMS = {
    status: {"description": title, "content": {"application/problem+json": {}}}
    for status, title in {
        "400": "The body cannot be read",
        "401": "No key, or not a valid one",
        "403": "The key lacks the scope ingest",
        "413": "The body is too large",
        "415": "Unsupported content type",
        "429": "The spool is full; Retry-After says when to come back",
        "503": "The disk does not take writes",
    }.items()
}


_OTLP_PROBLEMS = {status: told for status, told in _PROBLEMS.items() if status != "429"} | {
    "503": {"description": "The spool is full or its disk takes no writes; see Retry-After"}
}
_OTLP_TYPES = ["application/x-protobuf", "application/json"]


def _door(summary: str, types: list[str], answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "post": {
            "tags": ["telemetry"],
            "summary": summary,
            "requestBody": {"required": True, "content": {media: {} for media in types}},
            "responses": {
                "200": {
                    "description": "Durable; each refused event is named",
                    "content": {"application/json": {"schema": answer}},
                },
                **_PROBLEMS,
            },
        }
    }


_RUM_PARAMETERS = [
    {
        "name": "key",
        "in": "query",
        "required": True,
        "description": "A public key: scope ingest:public, bound to the page's origin",
        "schema": {"type": "string"},
    },
]
_RUM_PROBLEMS = _PROBLEMS | {
    "401": {"description": "No key in the address, or not a valid one"},
    "403": {"description": "No public key, or one that is bound to other origins"},
    "429": {"description": "The key came too often, or the spool is full; see Retry-After"},
}


def _rum() -> dict[str, Any]:
    """Return what pages may ask; the browser's own preflight is left to the browser."""
    post = _door(
        "Take web vitals, errors and journey steps of a page, one or an array, up to 64 KB",
        ["text/plain", "application/json"],
        _ANSWER,
    )["post"]
    terms = {
        "type": "object",
        "required": ["requires_consent"],
        "properties": {"requires_consent": {"type": "boolean"}},
    }
    told = {"description": "Its terms", "content": {"application/json": {"schema": terms}}}
    asked = ("401", "403", "429")
    return {
        "post": post
        | {"parameters": _RUM_PARAMETERS, "responses": post["responses"] | _RUM_PROBLEMS},
        "get": {
            "tags": ["telemetry"],
            "summary": "Say whether a public key requires consent",
            "parameters": _RUM_PARAMETERS,
            "responses": {"200": told} | {status: _RUM_PROBLEMS[status] for status in asked},
        },
    }


_SEGMENT_ANSWER = {
    "type": "object",
    "required": ["success"],
    "properties": {"success": {"type": "boolean"}, **_ANSWER["properties"]},
}
_CALLS: dict[CallType, tuple[str, list[str]]] = {
    "track": ("Take what a person did", ["event"]),
    "identify": ("Take who a person is; traits are not stored", []),
    "page": ("Take that a page was seen", []),
    "screen": ("Take that a screen was seen", []),
    "group": ("Take that a person belongs to a group", ["groupId"]),
    "alias": ("Take that two identifiers are of one person", ["userId", "previousId"]),
}


def _segment_door(summary: str, required: list[str]) -> dict[str, Any]:
    """Return one of Segment's calls: errors have Segment's shape, and limits are answered 400."""
    door = _door(summary, ["application/json"], _SEGMENT_ANSWER)
    body, responses = door["post"]["requestBody"], door["post"]["responses"]
    body["content"]["application/json"] = {"schema": {"type": "object", "required": required}}
    del responses["413"]
    errors = {
        status: {"description": told["description"], "content": {"application/json": {}}}
        for status, told in responses.items()
        if status != "200"
    }
    door["post"]["responses"] = {"200": responses["200"], **errors}
    return door


def _otlp_door(signal: str, rejected: str) -> dict[str, Any]:
    """Return a door whose errors are google.rpc.Status in the encoding of the request."""
    partial = {
        "type": "object",
        "properties": {rejected: {"type": "string"}, "errorMessage": {"type": "string"}},
    }
    answer = {"type": "object", "properties": {"partialSuccess": partial}}
    door = _door(f"Take OTLP {signal}, in protobuf or JSON", _OTLP_TYPES, answer)
    statuses = {
        status: {"description": told["description"], "content": {kind: {} for kind in _OTLP_TYPES}}
        for status, told in _OTLP_PROBLEMS.items()
    }
    taken = door["post"]["responses"]["200"]
    taken["content"]["application/x-protobuf"] = {}
    door["post"]["responses"] = {"200": taken, **statuses}
    return door


_SEGMENT: dict[str, Any] = {
    **{f"/v1/{call}": _segment_door(*told) for call, told in _CALLS.items()},
    "/v1/batch": _segment_door("Take Segment calls: at most 2,500 and 500 KB", ["batch"]),
    "/v1/import": _segment_door("Take Segment calls of the past", ["batch"]),
}
SEGMENT_PATHS = frozenset(_SEGMENT)
"""The doors that also take a key by Basic authentication, or as ``writeKey`` in the body."""
PATHS: dict[str, Any] = {
    **_SEGMENT,
    "/v1/events": _door(
        "Take CloudEvents: structured, in a batch, or binary with ce- headers and any content type",
        [STRUCTURED, BATCH, "*/*"],
        _ANSWER,
    ),
    "/v1/traces": _otlp_door("traces", "rejectedSpans"),
    "/v1/logs": _otlp_door("logs", "rejectedLogRecords"),
    "/v1/metrics": _otlp_door("metrics", "rejectedDataPoints"),
    "/api/v1/events": _door(
        "Take native events: an object, an array, or one a line",
        ["application/json", "application/x-ndjson"],
        _ANSWER,
    ),
    "/v1/rum": _rum(),
    "/rum.js": {
        "get": {
            "tags": ["telemetry"],
            "summary": "The script that measures a page and sends its beacons",
            "responses": {"200": {"description": "The script", "content": {"text/javascript": {}}}},
        }
    },
}
