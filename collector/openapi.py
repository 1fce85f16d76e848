"""What the hot doors look like in the OpenAPI document; they are not the framework's own routes."""

from typing import Any

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


PATHS: dict[str, Any] = {
    "/v1/traces": _otlp_door("traces", "rejectedSpans"),
    "/v1/logs": _otlp_door("logs", "rejectedLogRecords"),
    "/v1/metrics": _otlp_door("metrics", "rejectedDataPoints"),
    "/v1/batch": _door("Take Segment calls", ["application/json"], _ANSWER),
    "/api/v1/events": _door(
        "Take native events: an object, an array, or one a line",
        ["application/json", "application/x-ndjson"],
        _ANSWER,
    ),
}
