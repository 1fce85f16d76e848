"""``candor ingest``: bring files of events in, through the stores or a running server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from candor.commands.asking import Key, Url
from candor.commands.console import FAILED, WRONG_USE, AsJson, fail, print_json, say, settings

if TYPE_CHECKING:
    from candor.ingestion import Kind, Total
    from collector.importers.record import Record


class Format(StrEnum):
    """What a file holds."""

    NATIVE = "native"
    SEGMENT = "segment"
    CSV = "csv"
    ACCESS_LOG = "access-log"


def ingest(  # noqa: PLR0913, PLR0917 - each is an option of the command
    files: Annotated[list[Path], typer.Argument(help="Files, also gzipped.", exists=True)],
    format_: Annotated[Format, typer.Option("--format", help="What the files hold.")],
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="YAML that maps columns, for csv.", exists=True)
    ] = None,
    service: Annotated[
        str, typer.Option("--service", help="The service whose access log it is.")
    ] = "web-access",
    url: Url = None,
    key: Key = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Bring files of events in, and return when they can be queried.

    Exit 1 when a record was rejected; the first twenty are named by file and line, and the last
    line adds all up.

    Example: candor ingest cases.csv.gz --format csv --mapping examples/permit-receipt-mapping.yaml
    """
    from candor.ingestion import Total, bring_in, open_destination  # noqa: PLC0415 - quick --help
    from candor.kernel.errors import CandorError, ConflictError  # noqa: PLC0415 - as above

    if (format_ is Format.CSV) != (mapping is not None):
        fail("--mapping goes with --format csv, and csv needs it.", WRONG_USE)
    kind: Kind = "segment" if format_ is Format.SEGMENT else "native"
    total = Total()
    try:
        with open_destination(settings(), url, key) as destination, _progress() as advance:
            for file in files:
                records = _records(file, format_, mapping, service)
                bring_in(str(file), records, kind, destination, total, advance)
            destination.finish()
    except ConflictError as error:
        fail(error.detail, WRONG_USE)
    except CandorError as error:
        fail(error.detail)
    _report(total, as_json=as_json)


def _records(file: Path, format_: Format, mapping: Path | None, service: str) -> "Iterator[Record]":
    from collector.importers.access_log import read_access_log  # noqa: PLC0415 - quick --help
    from collector.importers.csv_table import read_csv, read_mapping  # noqa: PLC0415 - as above
    from collector.importers.json_lines import read_json  # noqa: PLC0415 - as above

    if format_ is Format.ACCESS_LOG:
        return read_access_log(file, service)
    if mapping is not None:
        return read_csv(file, read_mapping(mapping.read_text(encoding="utf-8")))
    return read_json(file)


@contextmanager
def _progress() -> "Iterator[Callable[[int], None]]":
    """Show how many records were read, on a terminal only."""
    from rich.console import Console  # noqa: PLC0415 - keeps --help quick
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    columns = (SpinnerColumn(), "[progress.description]{task.description}", MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("Reading records", total=None)
        yield lambda count: progress.advance(task, count)


def _report(total: "Total", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "accepted": total.accepted,
                "deduplicated": total.deduplicated,
                "quarantined": total.quarantined,
                "rejected": total.rejected,
                "faults": total.faults,
            }
        )
    else:
        for fault in total.faults:
            say(f"{fault['file']}:{fault['line']}: {fault['code']}: {fault['message']}")
        if total.rejected > len(total.faults):
            say(f"... and {total.rejected - len(total.faults)} more.")
        read = total.accepted + total.deduplicated + total.rejected
        typer.echo(
            f"{read} read: {total.accepted} accepted, {total.deduplicated} deduplicated"
            f" (stored before), {total.rejected} rejected ({total.quarantined} of them kept in"
            " quarantine)"
        )
    if total.rejected:
        raise typer.Exit(FAILED)
