"""Commands that run or prepare an installation: serve, work, migrate, check, openapi."""

from typing import TYPE_CHECKING, Annotated

import typer

from candor.commands.asking import Client, Url
from candor.commands.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    fail,
    print_json,
    say,
    settings,
    told_errors,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from candor.examination import Examination
    from candor.kernel.migrate import Migration
    from candor.kernel.settings import Settings


def serve() -> None:
    """Take telemetry and answer questions until Ctrl-C.

    Example: CANDOR_PORT=8080 candor serve
    """
    from candor.server import serve_until_stopped  # noqa: PLC0415 - keeps --help quick

    with told_errors():
        serve_until_stopped(settings())


def work() -> None:
    """Run the recurring jobs of an installation on servers until Ctrl-C, and nothing else.

    Any number of processes share the jobs. With embedded stores `candor serve` runs them itself.

    Example: CANDOR_TELEMETRY_DSN=https://user:password@host:8443/candor candor work
    """
    from candor.kernel.errors import CandorError  # noqa: PLC0415 - keeps --help quick
    from candor.scheduling import work_until_stopped  # noqa: PLC0415 - as above

    effective = settings()
    try:
        work_until_stopped(effective)
    except CandorError as error:
        fail(error.detail, WRONG_USE if effective.is_embedded else FAILED)


def migrate(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the statements; change nothing.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 when something is pending; change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring both stores up to date.

    A server with embedded stores does that itself when it starts. Beside a running one, --check and
    --dry-run tell of the state store alone, and the command without them exits 2.

    Example: candor migrate --dry-run
    """
    from candor.kernel.errors import CandorError  # noqa: PLC0415 - keeps --help quick

    effective = settings()
    note = ""
    try:
        if dry_run or check:
            from candor.examination import pending_in  # noqa: PLC0415 - keeps --help quick

            pending = pending_in(effective)
            steps, note = pending.steps, pending.note
        else:
            steps = _migrated(effective)
    except CandorError as error:
        fail(error.detail)
    _tell_steps(steps, with_statements=dry_run, as_json=as_json)
    if note:
        say(note)
    if check and steps:
        what_to_do = "Restart the server." if note else "Run: candor migrate"
        fail(f"{len(steps)} migrations are pending. {what_to_do}")


def _migrated(effective: "Settings") -> "Sequence[Migration]":
    from candor.kernel.migrate import migrate as bring_up_to_date  # noqa: PLC0415 - as above
    from candor.kernel.telemetry_store import StoreInUseError  # noqa: PLC0415 - as above
    from candor.wiring import open_services  # noqa: PLC0415 - as above

    try:
        with open_services(effective) as services:
            return bring_up_to_date(services.engine, services.telemetry, services.clock)
    except StoreInUseError:
        fail(
            "A running process, such as `candor serve`, has the embedded stores, and a server"
            " brings them up to date itself when it starts. Restart it instead.",
            WRONG_USE,
        )


def _tell_steps(steps: "Sequence[Migration]", *, with_statements: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {"store": step.store, "version": step.version, "name": step.name}
                | ({"statements": step.statements} if with_statements else {})
                for step in steps
            ]
        )
        return
    names = [f"{step.store} {step.version} {step.name}" for step in steps]
    if not with_statements:
        typer.echo("\n".join(names) or "Nothing to do: both stores are up to date.")
        return
    for name, step in zip(names, steps, strict=True):
        typer.echo(f"-- {name}")
        for statement in step.statements:
            typer.echo(statement + ";")


def check(url: Url = None, *, as_json: AsJson = False) -> None:
    """Print the effective settings with secrets masked, and what is wrong in a sentence each.

    Works beside a running server, whose embedded stores no other process can open. With --url it
    asks that server how it is instead, which needs no key.

    Example: candor check --url http://127.0.0.1:8080
    """
    from candor.examination import Examination, complaints_of, examine  # noqa: PLC0415 - quick --help
    from candor.kernel.settings import unknown_variables  # noqa: PLC0415 - as above

    if url is not None:
        readiness = Client(url, None).get("/readyz", even_if_unwell=True)
        _tell(Examination(complaints_of(readiness)), {"server": readiness}, as_json=as_json)
        return
    effective = settings()
    found = examine(effective)
    misspelt = [
        f"{name} is no setting of Candor; it is ignored. Is it misspelt?"
        for name in unknown_variables(effective)
    ]
    whole = Examination([*misspelt, *found.complaints], found.notes)
    _tell(whole, {"settings": effective.masked()}, as_json=as_json)


def _tell(found: "Examination", told: dict[str, object], *, as_json: bool) -> None:
    """Print what was examined, and what was found; exit 1 when something is wrong."""
    if as_json:
        print_json(told | {"complaints": found.complaints, "notes": found.notes})
    else:
        (document,) = told.values()
        print_json(document)
        for sentence in (*found.notes, *found.complaints):
            say(sentence)
        say("Something is wrong." if found.complaints else "All is well.")
    if found.complaints:
        raise typer.Exit(FAILED)


def openapi() -> None:
    """Print the OpenAPI document.

    Example: candor openapi > openapi.json
    """
    from candor.app import create_framework  # noqa: PLC0415 - keeps --help quick

    print_json(create_framework().openapi())
