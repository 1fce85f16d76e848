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


PATHS: dict[str, Any] = {
    "/v1/traces": _door(
        "Take OTLP traces, in protobuf or JSON",
        ["application/x-protobuf", "application/json"],
        {"type": "object", "properties": {"partialSuccess": {"type": "object"}}},
    ),
    "/v1/batch": _door("Take Segment calls", ["application/json"], _ANSWER),
    "/api/v1/events": _door(
        "Take native events: an object, an array, or one a line",
        ["application/json", "application/x-ndjson"],
        _ANSWER,
    ),
}
