"""The OpenAPI document: the framework's part, in the house's words, and the hot doors."""

from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from candor.kernel.problems import document_problems
from collector import openapi as collector_openapi
from privacy.consent import openapi as consent_openapi

_KEY = "key"
_SCHEMES: dict[str, Any] = {
    _KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key: `candor keys create NAME --scope SCOPE`",
    },
    "segmentKey": {
        "type": "http",
        "scheme": "basic",
        "description": "For Segment's calls: the key as the user name, without a password",
    },
    "pageKey": {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "For web pages: a public key with the scope ingest:public",
    },
}


def document(framework: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the framework's routes and of the hot doors."""
    schema = get_openapi(
        title=framework.title,
        version=framework.version,
        summary=framework.summary,
        routes=framework.routes,
    )
    document_problems(schema)
    for operation in _operations(schema):
        _summarise(operation)
    schema["paths"] |= deepcopy(collector_openapi.PATHS | consent_openapi.PATHS)
    schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
    for path, operations in schema["paths"].items():
        schemes = _schemes_of(path)
        if schemes:
            for operation in operations.values():
                operation["security"] = [{scheme: []} for scheme in schemes]
    return schema


def _operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for operations in schema["paths"].values() for one in operations.values()]


def _summarise(operation: dict[str, Any]) -> None:
    """Take the first line of what an operation says of itself for its summary.

    The framework's own summaries are names of functions.
    """
    first, _, rest = operation.pop("description", "").replace("``", "`").partition("\n")
    if first:
        operation["summary"] = first.removesuffix(".")
    if told := rest.strip():
        operation["description"] = told


def _schemes_of(path: str) -> tuple[str, ...]:
    """Return the ways in which a path takes a key, any of them; none when it asks for none."""
    if path in collector_openapi.SEGMENT_PATHS:
        return (_KEY, "segmentKey")
    if path == "/v1/rum":
        return ("pageKey",)
    return (_KEY,) if path.startswith(("/api/", "/v1/", "/ext_authz/")) else ()
