"""Pages for people who have no account: how they are made, and what every one of them forbids.

Nothing is fetched from elsewhere, no script runs, nothing is kept by caches or passed on as where
somebody came from: the address of such a page is a secret.
"""

from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from candor.kernel.errors import CandorError
from candor.kernel.problems import problem_headers
from candor.kernel.services import Services
from dashboards.assets import address_of
from dashboards.words import Words, words_for

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src data:;"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow",
}
_TOLD = {400: "400", 403: "403", 404: "404", 410: "410", 503: "503"}


class PersonRoute(APIRoute):
    """A route whose errors are pages, and whose every answer bears the headers of this module."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                response = await answer(request)
            except CandorError as error:
                response = error_page(request, error)
            response.headers.update(_HEADERS)
            return response

        return guarded


def languages_of(request: Request) -> str:
    """Return what somebody reads: what they picked on the page, then what their browser says."""
    picked = request.query_params.get("lang", "")
    asked = request.headers.get("accept-language", "")
    return f"{picked},{asked}" if picked.replace("-", "").isalnum() else asked


def page(
    request: Request, template: str, words: Words, status: int = 200, **values: object
) -> HTMLResponse:
    """Return a page of this template in these words."""
    services: Services = request.app.state.services
    text = (
        _environment()
        .get_template(template)
        .render(
            words=words,
            controller=services.settings.controller,
            style=address_of("person.css"),
            **values,
        )
    )
    return HTMLResponse(text, status, _HEADERS)


def error_page(request: Request, error: CandorError) -> HTMLResponse:
    """Return a page that says what somebody can do who came with a link that does not work."""
    words = words_for(languages_of(request))
    told = _TOLD.get(error.status, "other")
    response = page(request, "error.html", words, error.status, told=told)
    response.headers.update(problem_headers(error))
    return response


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
