"""``candor quarantine``: look at what was refused, mend it, and send it again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import typer

from candor.commands.asking import Client, Key, Url, ask
from candor.commands.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    fail,
    print_document,
    print_json,
    say,
    settings,
    told_errors,
    told_fault,
)

if TYPE_CHECKING:
    from candor.kernel.services import Services

app = typer.Typer(help="Refused events: look, mend, replay.", no_args_is_help=True)


@app.command("list")
def list_entries(  # noqa: PLR0913 - each is an option of the command
    url: Url = None,
    key: Key = None,
    *,
    code: Annotated[str, typer.Option("--code", help="One reason; all when absent.")] = "",
    since: Annotated[
        str | None, typer.Option("--since", help="An instant such as 2026-11-22T09:00:00Z.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List what was refused, newest first, without what was sent.

    Example: candor quarantine list --code schema_violation --url http://127.0.0.1:8080
    """
    from candor.kernel.errors import InvalidInputError  # noqa: PLC0415 - keeps --help quick
    from collector.quarantine.schemas import reason  # noqa: PLC0415 - as above

    try:
        reason(code)
    except InvalidInputError as error:
        fail(error.detail, WRONG_USE)
    asked = {"code": code, "limit": limit} | ({"since": since} if since is not None else {})

    def remote(client: Client) -> Any:  # noqa: ANN401 - a JSON document
        return client.get(f"/api/v1/quarantine?{urlencode(asked)}")

    with told_errors():
        entries = ask(url, key, remote, lambda services: _listed(services, code, since, limit))
    if as_json:
        print_json(entries)
        return
    if not entries:
        say("Nothing is in quarantine.")
    for one in entries:
        state = "replayed" if one["replayed_at"] else "waits"
        place = one["path"] or "-"
        typer.echo(f"{one['id']}  {one['received_at']}  {one['code']}  {place}  {state}")


@app.command("show")
def show(
    entry_id: Annotated[str, typer.Argument(help="The quarantine_id of a refusal.")],
    url: Url = None,
    key: Key = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show one refused event with what was sent; with --url the server logs that you looked.

    Example: candor quarantine show 511c6e666a6219f8dac0264a931d0251 --url http://127.0.0.1:8080
    """

    def remote(client: Client) -> Any:  # noqa: ANN401 - a JSON document
        return client.get(f"/api/v1/quarantine/{quote(entry_id, safe='')}")

    with told_errors():
        document = ask(url, key, remote, lambda services: _shown(services, entry_id))
    print_document(document, as_json=as_json)


@app.command("replay")
def replay(  # noqa: PLR0913 - each is an option of the command
    ids: Annotated[list[str], typer.Argument(help="The quarantine_ids to send again.")],
    url: Url = None,
    key: Key = None,
    *,
    contract: Annotated[
        str | None, typer.Option("--contract", help="Let them name this version instead.")
    ] = None,
    patch: Annotated[
        Path | None, typer.Option("--patch", help="A JSON Patch (RFC 6902) as JSON or YAML file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send refused events again, mended if so asked; exit 1 when one is refused again.

    Example: candor quarantine replay 511c6e666a6219f8dac0264a931d0251 --patch plan.json
    """
    body = {"ids": ids, "contract": contract, "patch": _patch(patch) if patch else None}
    with told_errors():
        answer = _replay_there(Client(url, key), body) if url else _replay_here(body)
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"{answer['accepted']} accepted, {answer['deduplicated']} there already")
        for one in answer["rejected"]:
            place = f"{one['path']}: " if one["path"] else ""
            typer.echo(f"{one['quarantine_id']}: {one['code']}: {place}{one['message']}")
    if answer["rejected"]:
        raise typer.Exit(FAILED)


def _replay_there(client: Client, body: dict[str, Any]) -> Any:  # noqa: ANN401 - a JSON document
    import json  # noqa: PLC0415 - keeps --help quick

    return client.post("/api/v1/quarantine/replay", json.dumps(body).encode(), "application/json")


def _replay_here(body: dict[str, Any]) -> dict[str, Any]:
    from pydantic import ValidationError  # noqa: PLC0415 - keeps --help quick

    from candor.kernel.errors import ConflictError  # noqa: PLC0415 - as above
    from candor.wiring import open_installation  # noqa: PLC0415 - as above
    from collector.quarantine.replay import Replay  # noqa: PLC0415 - as above
    from collector.quarantine.schemas import ReplayBody  # noqa: PLC0415 - as above
    from collector.receivers.native import receipt_document  # noqa: PLC0415 - as above

    try:
        asked = ReplayBody.model_validate(body)
    except ValidationError as error:
        fail(told_fault(error), WRONG_USE)
    effective = settings()
    try:
        with open_installation(effective) as running:
            collector = running.collector
            cabinet = collector.quarantine.cabinet
            sent = Replay(running.services, collector.intake, collector.linker.submit, cabinet)
            return receipt_document(sent.run(asked.ids, asked.mending()))
    except ConflictError as error:
        fail(error.detail, WRONG_USE)


def _listed(services: "Services", code: str, since: str | None, limit: int) -> list[dict[str, Any]]:
    from candor.kernel.database import session_of  # noqa: PLC0415 - keeps --help quick
    from collector.quarantine.schemas import entry_document, first_instant  # noqa: PLC0415 - as above
    from collector.quarantine.store import list_entries, replayed_at  # noqa: PLC0415 - as above

    now = services.clock()
    entries = list_entries(
        services.telemetry,
        code=code,
        since=first_instant(since, now, services.settings.quarantine),
        now=now,
        limit=limit,
    )
    with session_of(services.engine) as session:
        replayed = replayed_at(session, [entry.id for entry in entries])
    return [entry_document(entry, replayed.get(entry.id)) for entry in entries]


def _shown(services: "Services", entry_id: str) -> dict[str, Any]:
    from candor.kernel.database import session_of  # noqa: PLC0415 - keeps --help quick
    from candor.kernel.errors import NotFoundError  # noqa: PLC0415 - as above
    from collector.quarantine.keys import KeyCabinet  # noqa: PLC0415 - as above
    from collector.quarantine.replay import open_entry  # noqa: PLC0415 - as above
    from collector.quarantine.schemas import entry_document, payload_document  # noqa: PLC0415 - as above
    from collector.quarantine.store import find_entries, replayed_at  # noqa: PLC0415 - as above

    entry = find_entries(services.telemetry, [entry_id], services.clock()).get(entry_id)
    if entry is None:
        raise NotFoundError("No event is kept under that id, or not any more.")
    retention = services.settings.quarantine.retention
    cabinet = KeyCabinet(services.engine, services.secrets.quarantine_key, retention)
    with session_of(services.engine) as session:
        payload = open_entry(session, cabinet, entry)
        replayed = replayed_at(session, [entry.id]).get(entry.id)
    return entry_document(entry, replayed) | payload_document(entry, payload)


def _patch(file: Path) -> Any:  # noqa: ANN401 - a JSON document
    import yaml  # noqa: PLC0415 - keeps --help quick

    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        fail(f"{file} cannot be read ({type(error).__name__}). Give a JSON Patch.", WRONG_USE)
