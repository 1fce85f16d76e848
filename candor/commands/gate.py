"""``candor slo gate``: may this service be released? For the pipeline that asks."""

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from candor.commands.asking import Client, Key, Url, ask
from candor.commands.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    fail,
    print_json,
    say,
    told_errors,
)

if TYPE_CHECKING:
    from candor.kernel.services import Services


def gate(
    service: Annotated[str, typer.Option("--service", help="The service to be released.")],
    url: Url = None,
    key: Key = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Ask whether a service may be released.

    Prints go, slow or freeze. Exit 0: go or slow. Exit 1: freeze, which is printed; or nothing is
    printed, because there is no answer (the server is down, the key opens nothing): the reason is
    on stderr. Exit 2: no objective belongs to that service, or the command is not used rightly.

    Example: candor slo gate --service checkout-api --url https://candor.example.org
    """
    from candor.kernel.errors import NotFoundError  # noqa: PLC0415 - keeps --help quick

    def remote(client: Client) -> Any:  # noqa: ANN401 - a JSON document
        return client.get(f"/api/v1/gate?service={quote(service, safe='')}", absent=WRONG_USE)

    if not service:
        fail("--service names the service to be released, such as checkout-api.", WRONG_USE)
    with told_errors():
        try:
            answer = ask(url, key, remote, lambda services: _gate_here(services, service))
        except NotFoundError as error:
            fail(error.detail, WRONG_USE)
    if as_json:
        print_json(answer)
    else:
        typer.echo(answer["decision"])
        for reason in answer["reasons"]:
            say(f"{reason['objective']}: {reason['text']} ({reason['policy']})")
        if "override" in answer:
            override = answer["override"]
            say(
                f"Overridden by {override['author']} until {override['expires_at']}:"
                f" {override['reason']}"
            )
    if answer["decision"] == "freeze":
        raise typer.Exit(FAILED)


def _gate_here(services: "Services", service: str) -> dict[str, Any]:
    from candor.kernel.database import session_of  # noqa: PLC0415 - keeps --help quick
    from slo.governance.routes import read_gate  # noqa: PLC0415 - as above

    with session_of(services.engine) as session:
        return read_gate(services, session, service)
