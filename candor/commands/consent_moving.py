"""``candor consent export|import``: acts of consent out of a ledger and into one."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from candor.commands.asking import Client, Key, Url
from candor.commands.consent_state import move_in, open_ledger
from candor.commands.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    fail,
    print_json,
    say,
    told_errors,
)

app = typer.Typer()
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change; keep nothing.")]
_BLOCK = 5000


def read_file(file: Path) -> bytes:
    """Return what a file holds, or end with why it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read ({error.strerror}).", WRONG_USE)


@app.command("export")
def export(
    file: Annotated[Path | None, typer.Argument(help="A file; stdout when absent.")] = None,
    *,
    whole: Annotated[
        bool, typer.Option("--whole", help="Also purposes, notices and links: to move it.")
    ] = False,
) -> None:
    """Write the ledger, one act a line in the order of recording; persons are pseudonyms.

    To move it into another installation with the same master key, say --whole: then the file holds
    all that decisions follow from, and `candor consent import` takes it there. Ids and the times of
    recording are made anew there, so receipts are kept with the file; identifiers in clear stay.

    Example: candor consent export --whole ledger.ndjson
    """
    with told_errors(), open_ledger(may_create=False) as state:
        lines = (json.dumps(one) + "\n" for one in state.export(whole=whole))
        if file is None:
            for line in lines:
                typer.echo(line, nl=False)
            return
        try:
            with file.open("w", encoding="utf-8") as output:
                output.writelines(lines)
        except OSError as error:
            fail(f"{file} cannot be written ({error.strerror}).", WRONG_USE)


@app.command("import")
def bring_in(
    file: Annotated[Path, typer.Argument(help="Acts as JSON, one a line.")],
    url: Url = None,
    key: Key = None,
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Append acts of a file; each row that is refused is named, and exit is 1 if any was.

    A row is what `consent record` takes: {"subject": {"type", "value"}, "purpose", "action", "at",
    "source", "notice", ...}. Rows count from 1; there is no header, and blank lines do not count.
    The same act counts once, however often it is imported.

    Without --url it also takes what `consent export` wrote under the same master key. Of a file
    that was written without --whole, purposes and notices must be applied before, and links of
    identifiers are not in it.

    Example: candor consent import esp-export.ndjson --dry-run
    """
    rows = [line for line in read_file(file).splitlines() if line.strip()]
    total: dict[str, Any] = {"dry_run": dry_run, "recorded": 0, "repeated": 0, "refused": []}
    with told_errors():
        if rows and _is_whole(rows[0]):
            total |= _move(rows, url, dry_run=dry_run)
        else:
            for since in range(0, len(rows), _BLOCK):
                block = b"\n".join(rows[since : since + _BLOCK])
                answer = _import(url, key, block, dry_run=dry_run)
                total["recorded"] += answer["recorded"]
                total["repeated"] += answer["repeated"]
                total["refused"] += [one | {"row": one["row"] + since} for one in answer["refused"]]
    _tell(total, as_json=as_json)


def _tell(total: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(total)
    else:
        word = "would be recorded" if total["dry_run"] else "recorded"
        if "policies" in total:
            say(f"{total['policies']} versions of purposes and notices, {total['links']} links")
        typer.echo(f"{total['recorded']} {word}, {total['repeated']} on record already")
        for one in total["refused"]:
            typer.echo(f"row {one['row']}: {one['path'] or 'row'}: {one['message']}")
    if total["refused"]:
        raise typer.Exit(FAILED)


def _is_whole(row: bytes) -> bool:
    from privacy.consent.importing import lines_of  # noqa: PLC0415 - keeps --help quick
    from privacy.consent.moving import is_whole  # noqa: PLC0415 - as above

    return is_whole(lines_of(row)[0])


def _move(rows: list[bytes], url: str | None, *, dry_run: bool) -> dict[str, Any]:
    if url is not None or dry_run:
        option = "--dry-run" if dry_run else "--url"
        fail(
            f"A whole ledger moves without {option}: run candor consent import beside the state"
            " store of the new installation.",
            WRONG_USE,
        )
    return move_in(rows)


def _import(url: str | None, key: str | None, block: bytes, *, dry_run: bool) -> dict[str, Any]:
    if url is not None:
        path = f"/api/v1/consent/events/import?dry_run={int(dry_run)}"
        told: dict[str, Any] = Client(url, key).post(path, block, "application/x-ndjson")
        return told
    with open_ledger() as state:
        return state.bring_in(block, dry_run=dry_run)
