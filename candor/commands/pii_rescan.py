"""``candor pii rescan``: personal data in what is stored already, and the policy applied to it."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candor.commands.asking import Client, Key, Url
from candor.commands.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    fail,
    installed_settings,
    print_json,
    say,
    told_errors,
    told_fault,
)

if TYPE_CHECKING:
    from candor.kernel.services import Services
    from privacy.pii.assembly import Pii
    from privacy.pii.schemas import RescanBody

_SAMPLE = 10_000
_LOOKS_SECONDS = 0.5
_PATH = "/api/v1/pii/rescans"
_BY = "candor pii"
_FINISHED = ("done", "failed")
Instant = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"], metavar="UTC")
]


def rescan(  # noqa: PLR0913 - each is an option of the command
    url: Url = None,
    key: Key = None,
    *,
    table: Annotated[
        list[str] | None, typer.Option("--table", help="A table of telemetry; repeatable.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="About how many rows of each table.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read every row.")] = False,
    since: Instant = None,
    until: Instant = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Rewrite the rows by the policy in force.")
    ] = False,
    reason: Annotated[
        str, typer.Option("--reason", help="Why rows are rewritten; kept for ever.")
    ] = "",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 when any is found undeclared.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show where personal data sits in stored telemetry, and how many rows the policy would change.

    Nothing is changed without --apply. A sample (10000 rows of each table, if nothing is said) is
    the same rows each time. Exit 1 when it fails.

    Example: candor pii rescan --table events --full
    """
    if full and sample is not None:
        fail("Say either --sample or --full.", WRONG_USE)
    if apply and sample is not None:
        fail("A policy is applied to all rows: leave --sample out.", WRONG_USE)
    if apply and not reason:
        fail("Say with --reason why rows are rewritten.", WRONG_USE)
    body = {
        "tables": table or [],
        "sample": None if full or apply else sample or _SAMPLE,
        "since": _aware(since),
        "until": _aware(until),
        "apply": apply,
        "reason": reason,
    }
    asked = _checked(body)
    with told_errors():
        document = _ask(Client(url, key), body) if url is not None else _run_here(asked)
    if as_json:
        print_json(document)
    else:
        _tell(document)
    if document["state"] == "failed":
        fail(document["fault"])
    if strict and _undeclared(document):
        raise typer.Exit(FAILED)


def _aware(instant: datetime | None) -> str | None:
    return None if instant is None else instant.replace(tzinfo=UTC).isoformat()


def _checked(body: Mapping[str, Any]) -> "RescanBody":
    from pydantic import ValidationError  # noqa: PLC0415 - keeps --help quick

    from privacy.pii.schemas import RescanBody  # noqa: PLC0415 - as above

    try:
        return RescanBody.model_validate(body)
    except ValidationError as error:
        fail(told_fault(error), WRONG_USE)


def _ask(client: Client, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a finished re-scan of a server."""
    sent = json.dumps(body).encode()
    document: dict[str, Any] = client.post(_PATH, sent, "application/json")
    place = f"{_PATH}/{document['id']}"
    with _shown(lambda: client.get(place)):
        while document["state"] not in _FINISHED:
            time.sleep(_LOOKS_SECONDS)
            document = client.get(place)
    return document


def _run_here(asked: "RescanBody") -> dict[str, Any]:
    """Return a finished re-scan of the stores of this installation."""
    from candor.kernel.database import session_of  # noqa: PLC0415 - keeps --help quick
    from candor.wiring import ensure_migrated, open_protected  # noqa: PLC0415 - as above
    from privacy.pii import rescan_requests  # noqa: PLC0415 - as above

    with open_protected(installed_settings()) as (services, pii):
        ensure_migrated(services)
        with session_of(services.engine) as session:
            made = rescan_requests.request_rescan(
                session, asked.wanted(), reason=asked.reason, author=_BY, at=services.clock()
            )

        def look() -> dict[str, Any]:
            with session_of(services.engine) as session:
                return rescan_requests.find_rescan(session, made["id"])

        with _shown(look):
            return _finished(services, pii, look)


def _finished(
    services: "Services", pii: "Pii", look: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return a re-scan when it is finished, by this process or by another that holds the lease."""
    from candor.scheduling import JobRunner  # noqa: PLC0415 - keeps --help quick
    from privacy.pii.jobs import jobs  # noqa: PLC0415 - as above

    runner = JobRunner(services)
    (job,) = jobs(pii)
    with runner.renewing():
        while True:
            runner.run(job)
            document = look()
            if document["state"] in _FINISHED:
                return document
            time.sleep(_LOOKS_SECONDS)


@contextmanager
def _shown(look: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Show progress to a person at a terminal inside the block."""
    if not sys.stderr.isatty():
        yield
        return
    stopped = threading.Event()

    def show() -> None:
        while not stopped.wait(_LOOKS_SECONDS):
            told = look()["progress"]
            if told is not None:
                line = f"{told['table']}: {told['scanned']} of {told['rows']} rows"
                typer.echo(f"\r{line:<70}", nl=False, err=True)
        typer.echo(f"\r{'':<70}\r", nl=False, err=True)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _tell(document: Mapping[str, Any]) -> None:
    for one in document["tables"]:
        for place in one["places"]:
            declared = "declared" if place["declared"] else "undeclared"
            typer.echo(
                f"{one['table']}  {place['path']}  {place['entity']}  {place['rows']} rows"
                f" ({place['share']:.2%})  {place['sample']}  {place['action']}  {declared}"
            )
    scanned = sum(one["scanned"] for one in document["tables"])
    rows = sum(one["rows"] for one in document["tables"])
    changing = sum(one["changing"] for one in document["tables"])
    say(f"{scanned} of {rows} rows read; {_undeclared(document)} places undeclared.")
    if document["wanted"]["apply"]:
        say(f"{sum(one['rewritten'] for one in document['tables'])} rows rewritten.")
    elif changing:
        say(f"{changing} of them would change with --apply --reason WHY.")


def _undeclared(document: Mapping[str, Any]) -> int:
    return sum(not place["declared"] for one in document["tables"] for place in one["places"])
