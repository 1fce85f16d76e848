"""How every error of the house looks from outside: RFC 9457 problem details.

``type`` is stable and ends in the error's code. Nothing of the request is repeated but the path of
the fault inside it: no value, so no personal value.
"""

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from candor.kernel.errors import (
    CandorError,
    OverloadedError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedTypeError,
)
from candor.kernel.input_faults import faults_of

PROBLEM_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:candor:problem:"
_UNROUTED = {
    404: ("no_such_path", "Nothing is at this path. The paths are listed in /openapi.json."),
    405: ("method_not_allowed", "This path does not take that method. Allow says which it takes."),
}
"""What the router refuses: a code, other than that of a thing that is missing, and a sentence."""

_SEND_JSON = "Send JSON, and say so: Content-Type: application/json."


def document_problems(schema: dict[str, Any]) -> None:
    """Add to an OpenAPI document the problems that its operations may answer with, in place.

    Operations that need no key have none but what they name themselves.
    """
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/api/"):
                for status in _statuses(path, method, operation):
                    operation["responses"][str(status)] = _response(HTTPStatus(status))
    schema.get("components", {}).get("schemas", {}).pop("HTTPValidationError", None)
    schema.get("components", {}).get("schemas", {}).pop("ValidationError", None)


def problem_body(error: CandorError) -> bytes:
    """Return the problem document of an error."""
    document: dict[str, object] = {
        "type": _TYPE_PREFIX + error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if error.path is not None:
        document["path"] = error.path
    findings = getattr(error, "findings", None)
    if findings is not None:
        document["findings"] = findings
    return json.dumps(document).encode()


def problem_headers(error: CandorError) -> dict[str, str]:
    """Return the headers that belong to an error: when to retry, how to authenticate."""
    if isinstance(error, UnavailableError):
        headers = {"retry-after": str(max(1, math.ceil(error.retry_after.total_seconds())))}
        if isinstance(error, OverloadedError) and error.resets_at is not None:
            headers["x-ratelimit-reset"] = str(math.ceil(error.resets_at.timestamp()))
        return headers
    if isinstance(error, UnauthenticatedError):
        return {"www-authenticate": 'Bearer realm="candor"'}
    return {}


def install_problem_handlers(app: FastAPI) -> None:
    """Make the application answer every error as a problem document."""
    app.add_exception_handler(CandorError, _answer_candor_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)


def _statuses(path: str, method: str, operation: Mapping[str, Any]) -> list[int]:
    statuses = [401, 403, 422, 503]
    if "{" in path or "parameters" in operation or method == "post":
        statuses.append(404)
    if "requestBody" in operation or method in {"post", "put"}:
        statuses += [400, 409, 413, 415]
    if method == "delete":
        statuses.append(409)
    return statuses


def _response(status: HTTPStatus) -> dict[str, Any]:
    schema = {"type": "object", "required": ["type", "title", "status"]}
    return {"description": status.phrase, "content": {PROBLEM_TYPE: {"schema": schema}}}


def _answer_candor_error(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, CandorError):
        raise error
    return Response(
        problem_body(error), error.status, problem_headers(error), media_type=PROBLEM_TYPE
    )


def _answer_validation_error(request: Request, error: Exception) -> Response:
    """Answer 422 with the place of every fault and what to write there, never what was sent.

    A body that was not read because it does not say that it is JSON is answered with 415.
    """
    if not isinstance(error, RequestValidationError):
        raise error
    if not _says_json(request) and any(_is_of_whole_body(fault) for fault in error.errors()):
        return _answer_candor_error(request, UnsupportedTypeError(_SEND_JSON))
    faults = faults_of(error.errors())
    extra: dict[str, object] = {
        "detail": faults[0].sentence,
        "errors": [one.document for one in faults],
    }
    return _document("invalid_input", "Invalid input", 422, extra)


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _is_of_whole_body(fault: Mapping[str, Any]) -> bool:
    return tuple(fault["loc"]) == ("body",) and fault["type"] != "missing"


def _answer_http_exception(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, HTTPException):
        raise error
    title = HTTPStatus(error.status_code).phrase
    code, detail = _UNROUTED.get(error.status_code, (title.lower().replace(" ", "_"), ""))
    extra: dict[str, object] = {"detail": detail} if detail else {}
    response = _document(code, title, error.status_code, extra)
    response.headers.update(error.headers or {})
    return response


def _document(code: str, title: str, status: int, extra: dict[str, object]) -> Response:
    document = {"type": _TYPE_PREFIX + code, "title": title, "status": status, **extra}
    return Response(json.dumps(document), status, media_type=PROBLEM_TYPE)
