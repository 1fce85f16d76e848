"""What the hot doors of consent look like in the OpenAPI document."""

from typing import Any, get_args

from privacy.consent.decision import Allowing, Denying, Gap

_REASONS = [*get_args(Allowing), *get_args(Denying), *get_args(Gap)]
_INSTANT = {"type": "string", "format": "date-time"}
_WORD = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$"}
_SUBJECT: dict[str, Any] = {
    "type": "object",
    "required": ["type", "value"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "maxLength": 40},
        "value": {"type": "string", "maxLength": 320},
    },
}
_QUESTION: dict[str, Any] = {
    "type": "object",
    "required": ["subject", "purpose"],
    "additionalProperties": False,
    "properties": {
        "subject": {"anyOf": [_SUBJECT, {"type": "null"}]},
        "purpose": {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$"},
        "channel": {**_WORD, "type": ["string", "null"]},
        "stage": {"enum": ["entry", "send"], "default": "send"},
        "jurisdiction": {
            "description": "One, or several of which the strictest counts",
            "anyOf": [
                {"type": "string", "pattern": "^[A-Za-z]{2,12}(-[A-Za-z0-9]{1,8})?$"},
                {"type": "array", "items": {"type": "string"}},
                {"type": "null"},
            ],
        },
        "recipient": {**_WORD, "type": ["string", "null"]},
        "gpc": {"type": "boolean", "default": False},
        "as_of": {**_INSTANT, "type": ["string", "null"]},
        "context": {
            "type": ["object", "null"],
            "properties": {"entry_decision": {"type": ["string", "null"]}},
        },
        "correlation_id": {"type": ["string", "null"]},
    },
}
_DECISION: dict[str, Any] = {
    "type": "object",
    "required": ["decision_id", "allow", "reason"],
    "properties": {
        "decision_id": {"type": ["string", "null"]},
        "allow": {"type": "boolean"},
        "reason": {"enum": [*_REASONS, None]},
        "rule": {"type": "string"},
        "stage": {"enum": ["entry", "send"]},
        "evidence": {
            "type": ["object", "null"],
            "properties": {
                "consent_event": {"type": "string"},
                "notice": {"type": ["string", "null"]},
                "at": _INSTANT,
                "source": {"type": "string"},
            },
        },
        "valid_until": {**_INSTANT, "type": ["string", "null"]},
        "obligations": {"type": "array", "items": {"type": "string"}},
        "checked_at": _INSTANT,
        "detail": {
            "type": "string",
            "description": "What is not configured, or cannot be read, and what to do about it",
        },
        "as_of": _INSTANT,
        "entry": {
            "type": "object",
            "properties": {
                "decision_id": {"type": "string"},
                "allow": {"type": "boolean"},
                "reason": {"enum": _REASONS},
                "changed": {"type": "boolean"},
            },
        },
    },
}
_PROBLEMS = {
    status: {"description": told, "content": {"application/problem+json": {}}}
    for status, told in {
        "400": "The body cannot be read, or an item has no correlation id of its own",
        "401": "No key, or not a valid one",
        "403": "The key lacks the scope consent:check",
        "413": "The body, or the number of checks, is too large",
        "415": "Unsupported content type",
        "422": "The question cannot mean anything; the place is named",
    }.items()
}


def _door(summary: str, asked: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    told = {"application/json": {"schema": answer}}
    return {
        "post": {
            "tags": ["consent"],
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": asked}}},
            "responses": {
                "200": {"description": "Decided, and in the log", "content": told},
                **_PROBLEMS,
                "503": {"description": "It cannot be decided or logged: denied", "content": told},
            },
        }
    }


_PARAMETERS = [
    {
        "name": name,
        "in": "query",
        "required": name == "purpose",
        "schema": {"enum": ["entry", "send"]} if name == "stage" else {"type": "string"},
    }
    for name in ("purpose", "channel", "stage", "jurisdiction", "recipient")
]
_FILTER: dict[str, Any] = {
    "post": {
        "tags": ["consent"],
        "summary": "Decide an audience of any size: a subject a line in, a decision a line out",
        "parameters": _PARAMETERS,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _SUBJECT}, "application/x-ndjson": {}},
        },
        "responses": {
            "200": {
                "description": "One line for each line, in order; it breaks off when it cannot"
                " be decided",
                "content": {"application/x-ndjson": {}},
            },
            **_PROBLEMS,
        },
    }
}
_GATEWAY_HEADERS = {
    "X-Candor-Subject-Type": "The type of the person's identifier, such as email",
    "X-Candor-Subject": "The person's identifier, as the gateway has verified it",
    "X-Candor-Stage": "send (as without it), or entry",
    "X-Candor-Jurisdiction": "One, or several with commas of which the strictest counts",
    "X-Candor-Recipient": "Who is given the data, if that is not the controller",
    "Sec-GPC": "1 is a live signal of the person's browser",
}
_GATEWAY_PARAMETERS: list[dict[str, Any]] = [
    *(
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in ("purpose", "channel")
    ),
    *(
        {"name": name, "in": "header", "description": told, "schema": {"type": "string"}}
        for name, told in _GATEWAY_HEADERS.items()
    ),
]
_VERDICT = {
    "headers": {
        name: {"schema": {"type": "string"}} for name in ("x-candor-decision-id", "x-candor-reason")
    },
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["decision_id", "allow", "reason"],
                "properties": {
                    name: _DECISION["properties"][name]
                    for name in ("decision_id", "allow", "reason")
                },
            }
        }
    },
}
_GATEWAY: dict[str, Any] = {
    method: {
        "tags": ["consent"],
        "summary": "May this request pass? For Envoy's HTTP service and nginx's auth_request",
        "description": "Any method, and any path below, is answered alike.",
        "parameters": _GATEWAY_PARAMETERS,
        "responses": {
            "200": {"description": "It may pass; decided, and in the log", **_VERDICT},
            "401": _PROBLEMS["401"],
            "403": {
                "description": "It may not, or that cannot be decided (state_unavailable), or the"
                " key lacks the scope consent:check (a problem)",
                **_VERDICT,
            },
        },
    }
    for method in ("get", "post")
}
PATHS: dict[str, Any] = {
    "/ext_authz/{purpose}/{channel}": _GATEWAY,
    "/api/v1/consent/check": _door(
        "May this purpose use this person's data on this channel now?", _QUESTION, _DECISION
    ),
    "/api/v1/consent/check/batch": _door(
        "Decide up to 1,000 checks, each under its correlation id",
        {"type": "array", "items": _QUESTION, "maxItems": 1000},
        {"type": "object", "additionalProperties": _DECISION},
    ),
    "/api/v1/consent/filter": _FILTER,
}
