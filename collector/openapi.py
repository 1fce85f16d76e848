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
    "/v1/rum": _rum(),
    "/rum.js": {
        "get": {
            "tags": ["telemetry"],
            "summary": "The script that measures a page and sends its beacons",
            "responses": {"200": {"description": "The script", "content": {"text/javascript": {}}}},
        }
    },
}
