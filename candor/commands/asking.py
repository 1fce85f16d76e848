"""Questions to an installation: to a running server by its address, or to the stores directly."""

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from candor.commands.console import FAILED, WRONG_USE, fail, installed_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from candor.kernel.services import Services

_ABSENT = "urn:candor:problem:not_found"
Amended = Callable[[Any], Any]
"""Changes a JSON document that a server answered."""

Url = Annotated[str | None, typer.Option("--url", help="Ask the server at this address.")]
Key = Annotated[str | None, typer.Option("--key", envvar="CANDOR_KEY", help="API key for --url.")]


def ask(
    url: str | None,
    key: str | None,
    remote: "Callable[[Client], Any]",
    local: "Callable[[Services], Any]",
) -> Any:  # noqa: ANN401 - a JSON document
    """Return the answer of the server at ``url``, or of the stores when no address is given."""
    if url is not None:
        return remote(Client(url, key))
    with _open_stores() as services:
        return local(services)


class Client:
    """Talks to a running server; every refusal ends the command with the server's sentence."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    def get(self, path: str, *, absent: int = FAILED, even_if_unwell: bool = False) -> Any:  # noqa: ANN401 - a JSON document
        """Return what ``GET`` answers.

        ``absent`` is the exit code when there is no such thing; ``even_if_unwell`` takes a 503 for
        an answer, too.
        """
        return self._request("GET", path, None, None, absent, even_if_unwell=even_if_unwell)

    def post(
        self, path: str, body: bytes, content_type: str, amended: "Amended | None" = None
    ) -> Any:  # noqa: ANN401 - as above
        """Return what ``POST`` answers, ``amended``; of a refusal too."""
        return self._request("POST", path, body, content_type, amended=amended)

    def lines(self, path: str, body: bytes, content_type: str) -> "Iterator[str]":
        """Yield what ``POST`` answers, line by line as it comes."""
        import httpx  # noqa: PLC0415 - keeps --help quick

        headers = self._headers | {"content-type": content_type}
        with (
            self._reached(),
            httpx.stream(
                "POST", self._url + path, content=body, headers=headers, timeout=120
            ) as answer,
        ):
            if answer.is_error:
                answer.read()
                self._refuse(answer)
            yield from answer.iter_lines()

    def put(self, path: str, body: bytes, content_type: str) -> Any:  # noqa: ANN401 - as above
        """Return what ``PUT`` answers."""
        return self._request("PUT", path, body, content_type)

    def _request(  # noqa: PLR0913 - a request, and how its refusals are taken
        self,
        method: str,
        path: str,
        body: bytes | None,
        content_type: str | None,
        absent: int = FAILED,
        *,
        even_if_unwell: bool = False,
        amended: "Amended | None" = None,
    ) -> Any:  # noqa: ANN401 - a JSON document
        import httpx  # noqa: PLC0415 - keeps --help quick

        headers = self._headers | ({"content-type": content_type} if content_type else {})
        with self._reached():
            answer = httpx.request(
                method, self._url + path, content=body, headers=headers, timeout=120
            )
        is_taken = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and even_if_unwell
        if answer.is_error and not is_taken:
            self._refuse(answer, absent, amended)
        if not _is_json(answer):
            fail(f"What answers at {self._url} is no Candor.")
        return amended(answer.json()) if amended is not None else answer.json()

    @contextmanager
    def _reached(self) -> "Iterator[None]":
        import httpx  # noqa: PLC0415 - keeps --help quick

        try:
            yield
        except httpx.UnsupportedProtocol:
            fail(f"{self._url} is no address. Write it as http://host:8080.", WRONG_USE)
        except httpx.TransportError as error:
            fail(f"{self._url} does not answer ({type(error).__name__}). Is the server running?")

    def _refuse(
        self, answer: "httpx.Response", absent: int = FAILED, amended: "Amended | None" = None
    ) -> NoReturn:
        import httpx  # noqa: PLC0415 - keeps --help quick

        told = answer.json() if "problem+json" in answer.headers.get("content-type", "") else {}
        is_absent = told.get("type") == _ABSENT
        if answer.status_code == httpx.codes.NOT_FOUND and not is_absent:
            fail(f"{self._url} has no such path. Give --url the address that serves /api/v1.")
        if not told:
            fail(
                f"{self._url} refuses with {answer.status_code}, not in Candor's words. Does --url"
                " lead to Candor, and does the server run behind its proxy?"
            )
        sentence = _sentence(amended(told) if amended is not None else told)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            sentence += " Give the command a key with --key or CANDOR_KEY."
        fail(sentence, absent if is_absent else FAILED)


def _is_json(answer: "httpx.Response") -> bool:
    return "json" in answer.headers.get("content-type", "")


def _sentence(problem: dict[str, Any]) -> str:
    """Return what a problem document says: its sentence, and each fault with its place."""
    lines = [str(problem.get("detail") or problem.get("title") or "The server refused it.")]
    if "path" in problem:
        lines[0] += f" (at {problem['path']})"
    lines += [f"{fault['path']}: {fault['message']}" for fault in problem.get("errors", ())[1:]]
    lines += [
        f"{finding['file']}:{finding['line']}: {finding['path'] or 'document'}: {finding['rule']}:"
        f" {'warning: ' if finding['severity'] == 'warning' else ''}{finding['message']}"
        for finding in problem.get("findings", ())
    ]
    return "\n".join(lines)


@contextmanager
def _open_stores() -> "Iterator[Services]":
    from candor.kernel.errors import ConflictError  # noqa: PLC0415 - keeps --help quick
    from candor.wiring import ensure_migrated, open_services  # noqa: PLC0415 - as above

    try:
        with open_services(installed_settings()) as services:
            ensure_migrated(services)
            yield services
    except ConflictError as error:
        fail(error.detail, WRONG_USE)
