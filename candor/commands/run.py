"""Commands that run or prepare an installation: serve, work, migrate, check, openapi."""

from typing import Annotated

import typer

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

    Example: candor migrate --dry-run
    """
    from candor.kernel import migrate as runner  # noqa: PLC0415 - keeps --help quick
    from candor.wiring import open_services  # noqa: PLC0415 - as above

    with told_errors(), open_services(settings()) as services:
        pretend = dry_run or check
        if pretend:
            steps = runner.pending_migrations(services.engine, services.telemetry)
        else:
            steps = runner.migrate(services.engine, services.telemetry, services.clock)
    names = [f"{step.store} {step.version} {step.name}" for step in steps]
    if as_json:
        print_json(
            [
                {"store": step.store, "version": step.version, "name": step.name}
                | ({"statements": step.statements} if dry_run else {})
                for step in steps
            ]
        )
    elif dry_run:
        for name, step in zip(names, steps, strict=True):
            typer.echo(f"-- {name}")
            for statement in step.statements:
                typer.echo(statement + ";")
    else:
        typer.echo("\n".join(names) or "Nothing to do: both stores are up to date.")
    if check and steps:
        fail(f"{len(steps)} migrations are pending. Run: candor migrate")


def check(*, as_json: AsJson = False) -> None:
    """Print the effective settings with secrets masked, and what is wrong in a sentence each.

    Example: candor check --json
    """
    from candor.kernel.settings import unknown_variables  # noqa: PLC0415 - keeps --help quick
    from candor.server import complaints_about  # noqa: PLC0415 - as above

    effective = settings()
    complaints = [
        f"{name} is no setting of Candor; it is ignored. Is it misspelt?"
        for name in unknown_variables(effective)
    ]
    complaints += complaints_about(effective)
    if as_json:
        print_json({"settings": effective.masked(), "complaints": complaints})
    else:
        print_json(effective.masked())
        for complaint in complaints:
            say(complaint)
        say("Something is wrong." if complaints else "All is well.")
    if complaints:
        raise typer.Exit(FAILED)


def openapi() -> None:
    """Print the OpenAPI document.

    Example: candor openapi > openapi.json
    """
    from candor.app import create_framework  # noqa: PLC0415 - keeps --help quick

    print_json(create_framework().openapi())
