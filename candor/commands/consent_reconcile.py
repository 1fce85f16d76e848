"""``candor consent reconcile``: hold an ESP or CDP against the ledger, and repair what differs."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candor.commands.consent_state import ACTOR
from candor.commands.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    fail,
    print_json,
    settings,
    told_errors,
)
from candor.commands.keys import open_state

if TYPE_CHECKING:
    from privacy.reconciliation.connector import Connector
    from privacy.reconciliation.run import Records, Report

app = typer.Typer()


@app.command("reconcile")
def reconcile(
    file: Annotated[Path, typer.Argument(help="YAML that describes a connector.")],
    audience: Annotated[
        Path | None,
        typer.Option("--audience", help="Persons, {type, value} a line; whom is kept if absent."),
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what differs; change nothing anywhere.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare persons in another system with the ledger; a no on either side becomes a no on both.

    Exit 1 when a difference is left, or somebody could not be compared.

    Example: candor consent reconcile examples/connectors/braze.yaml --audience people.ndjson
    """
    from privacy.reconciliation.schemas import read_connector, report_document  # noqa: PLC0415 - keeps --help quick

    try:
        text = file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read ({error.strerror}).", WRONG_USE)
    with told_errors():
        connector = read_connector(text, dict(os.environ))
        report = _run(connector, audience, dry_run=dry_run)
    if as_json:
        print_json(report_document(report))
    else:
        _tell(report)
    if not report.is_clean:
        raise typer.Exit(FAILED)


def _run(connector: "Connector", audience: Path | None, *, dry_run: bool) -> "Report":
    from privacy.reconciliation.remote import open_remote  # noqa: PLC0415 - keeps --help quick
    from privacy.reconciliation.run import reconcile as run  # noqa: PLC0415 - as above

    with ExitStack() as stack:
        records, people = _here(stack, connector, audience)
        remote = stack.enter_context(open_remote(connector))
        return run(records, connector, remote, people, by=ACTOR, dry_run=dry_run)


def _here(
    stack: ExitStack, connector: "Connector", audience: Path | None
) -> "tuple[Records, Iterable[str]]":
    """Return our side, and whom to compare; with an audience also beside a running server."""
    from sqlalchemy import Engine  # noqa: PLC0415 - keeps --help quick

    from candor.kernel.clock import utc_now  # noqa: PLC0415 - as above
    from privacy.consent.ledger import Ledger  # noqa: PLC0415 - as above
    from privacy.consent.register import PolicyRegister  # noqa: PLC0415 - as above
    from privacy.reconciliation.run import Records, kept_identifiers  # noqa: PLC0415 - as above
    from privacy.subjects.index import StoredSubjectIndex  # noqa: PLC0415 - as above

    if audience is not None:
        session, secrets = stack.enter_context(open_state(settings()))
        engine = session.get_bind()
        if not isinstance(engine, Engine):
            raise TypeError(type(engine))
        ledger = Ledger(PolicyRegister(engine))
        records = Records(engine, ledger, StoredSubjectIndex(engine), secrets, utc_now)
        return records, _people(audience, connector.subject)
    from candor.kernel.errors import ConflictError  # noqa: PLC0415 - as above
    from candor.wiring import open_installation  # noqa: PLC0415 - as above

    try:
        services = stack.enter_context(open_installation(settings())).services
    except ConflictError as error:
        fail(f"{error.detail} Or name the persons with --audience.", WRONG_USE)
    ledger = Ledger(PolicyRegister(services.engine))
    records = Records(services.engine, ledger, services.subjects, services.secrets, services.clock)
    return records, kept_identifiers(services.engine, services.originals, connector)


def _people(audience: Path, subject: str) -> Iterator[str]:
    """Yield the identifiers of a file, line by line."""
    try:
        with audience.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _identifier(line, number, subject)
    except OSError as error:
        fail(f"{audience} cannot be read ({error.strerror}).", WRONG_USE)


def _identifier(line: str, number: int, subject: str) -> str:
    try:
        person: Any = json.loads(line)
    except ValueError:
        person = None
    value = person.get("value") if isinstance(person, dict) else None
    if not isinstance(value, str) or not value.strip() or person.get("type") != subject:
        fail(f'Line {number} is no {{"type": "{subject}", "value": ...}}.', WRONG_USE)
    return value


def _tell(report: "Report") -> None:
    typer.echo(f"{report.connector}: {sum(report.findings.values())} persons compared")
    for counted in (report.findings, report.done, report.faults):
        for word, count in sorted(counted.items()):
            typer.echo(f"  {word.replace('_', ' ')}: {count}")
    for one in report.named:
        typer.echo(f"{one.subject_key}: {one.ours} here, {one.theirs} there, {one.done}")
