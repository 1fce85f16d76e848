"""``candor vault``: reveal what is sealed, destroy keys, rotate, and see how it stands."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candor.commands.asking import Client, Key, Url
from candor.commands.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    fail,
    installed_settings,
    print_document,
    print_json,
    say,
    told_errors,
    told_fault,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from candor.kernel.settings import Settings
    from privacy.vault.assembly import Desk

app = typer.Typer(help="Personal values under keys of their own.", no_args_is_help=True)
_BY = "candor vault"
Reason = Annotated[str, typer.Option("--reason", help="Why; kept for ever in the audit log.")]


@app.command("reveal")
def reveal(  # noqa: PLR0913 - each is an option of the command
    tokens: Annotated[list[str], typer.Argument(help="Tokens or encrypted texts.")],
    reason: Reason,
    url: Url = None,
    key: Key = None,
    *,
    field: Annotated[
        str, typer.Option("--field", help="Where the encrypted texts stand, as the policy says.")
    ] = "",
    subject_key: Annotated[
        str | None, typer.Option("--subject-key", help="Whose they must be.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what tokens and encrypted texts stand for; exit 1 when one cannot be read.

    Example: candor vault reveal tok_6Yk0mJ2c5q0J9m2m0Jx2vA --reason "case 4711"
    """
    from pydantic import ValidationError  # noqa: PLC0415 - keeps --help quick

    from privacy.vault.schemas import RevealBody, reveal_document  # noqa: PLC0415 - as above

    texts = [{"text": one, "field": field, "subject_key": subject_key} for one in tokens]
    body = {"tokens": texts, "reason": reason}
    try:
        asked = RevealBody.model_validate(body)
    except ValidationError as error:
        fail(told_fault(error), WRONG_USE)
    with told_errors():
        if url is not None:
            sent = json.dumps(body).encode()
            document = Client(url, key).post("/api/v1/pii/detokenize", sent, "application/json")
        else:
            sought = asked.sought()
            with _open_desk() as (desk, _):
                found = desk.reveals.reveal(sought, by=_BY, reason=asked.reason)
            document = reveal_document(sought, found)
    _tell_revealed(document, as_json=as_json)


@app.command("destroy")
def destroy(
    subject_key: Annotated[list[str], typer.Option("--subject-key", help="Whose key; repeatable.")],
    reason: Reason,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Destroy people's keys for ever: what is sealed under them is lost, in every copy.

    Every identifier that the subject index links with these is meant too, and shown before. Values
    sealed while nobody knew whose they are end with the key of their day
    (CANDOR_VAULT__DAY_KEYS_KEPT_FOR).

    Exit 1 when none of them had a key.

    Example: candor vault destroy --subject-key 5f2c... --reason "request 0192..." --yes
    """
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - keeps --help quick
    from candor.kernel.database import session_of  # noqa: PLC0415 - as above
    from privacy.audit.reason import checked_reason  # noqa: PLC0415 - as above
    from privacy.subjects.index import StoredSubjectIndex  # noqa: PLC0415 - as above
    from privacy.vault.destruction import destroy_subjects, people_of  # noqa: PLC0415 - as above

    try:
        told = checked_reason(reason)
    except ValueError as error:
        fail(f"--reason: {error}.", WRONG_USE)
    with told_errors(), _open_desk() as (desk, engine):
        subjects = StoredSubjectIndex(engine)
        people = people_of(subjects, subject_key)
        say(f"With the identifiers that are linked: {' '.join(people)}")
        if not yes:
            typer.confirm("What is sealed under their keys is lost for ever. Go on?", abort=True)
        with session_of(engine) as session:
            done = destroy_subjects(
                session, desk.register, subjects, people, at=utc_now(), by=_BY, reason=told
            )
    if as_json:
        print_json(
            {"keys": list(done.key_ids), "values": done.values, "subject_keys": list(people)}
        )
    else:
        typer.echo(f"{len(done.key_ids)} keys destroyed, {done.values} values of tokens with them.")
    if not done.key_ids:
        fail("Nobody of these had a key; that they have none is on record.")


@app.command("rotate")
def rotate(*, as_json: AsJson = False) -> None:
    """Wrap every key anew under a new key of the newest root; sealed values are not touched.

    The newest root is CANDOR_VAULT__KMS_KEY, or the last of CANDOR_VAULT__KEY_FILES, or the master
    key. An older one is needed no more when this has ended. It runs beside a server.

    Example: CANDOR_VAULT__KEY_FILES='["/etc/candor/vault-2027.key"]' candor vault rotate
    """
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - keeps --help quick
    from privacy.vault.rotation import rotate as wrap_anew  # noqa: PLC0415 - as above

    with told_errors(), _open_desk() as (desk, engine), _progress() as advance:
        done = wrap_anew(desk.keys, engine, utc_now, by=_BY, advance=advance)
    document = {
        "encryption_key": done.encryption_key_id,
        "root": done.root_id,
        "rewrapped": done.rewrapped,
        "deleted": done.deleted,
    }
    print_document(document, as_json=as_json)


@app.command("new-register")
def new_register(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a register of destroyed keys where there is none, beside a store that has keys.

    For a new replica, or when the register is lost for good: then keys that were destroyed come
    back if the store was restored from an older copy, unless another replica's register names them.

    Example: candor vault new-register --yes
    """
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - keeps --help quick
    from privacy.vault.destruction import begin_register  # noqa: PLC0415 - as above

    if not yes:
        typer.confirm(
            "Is there really no copy of the register? Destroyed keys may return", abort=True
        )
    with told_errors(), _closed_desk() as (desk, engine):
        extent = begin_register(engine, desk.register, utc_now(), _BY)
        desk.keys.turns.catch_up()
    document = {"register": extent.register_id, "entries": extent.entries}
    print_document(document, as_json=as_json)


@app.command("status")
def status(*, as_json: AsJson = False) -> None:
    """Show the generations of keys, what protects them, and how much is kept; no value is read.

    Exit 1 when this process lacks the root of a generation.

    Example: candor vault status --json
    """
    from candor.kernel.database import session_of  # noqa: PLC0415 - keeps --help quick
    from privacy.vault.standing import standing_of  # noqa: PLC0415 - as above

    with told_errors(), _open_desk() as (desk, engine), session_of(engine) as session:
        document = standing_of(session, desk.keys.encryption, desk.register)
    print_document(document, as_json=as_json)
    if not all(one["is_known"] for one in document["encryption_keys"]):
        fail("A root is missing. Name its file in CANDOR_VAULT__KEY_FILES, or its key in KMS.")


@contextmanager
def _open_desk() -> "Iterator[tuple[Desk, Engine]]":
    """Give the desk on the state store, held against the register; also beside a running server."""
    with _closed_desk() as (desk, engine):
        desk.keys.turns.catch_up()
        yield desk, engine


@contextmanager
def _closed_desk() -> "Iterator[tuple[Desk, Engine]]":
    from candor.commands.keys import prepared_state  # noqa: PLC0415 - keeps --help quick
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - as above
    from candor.kernel.metrics import new_metrics  # noqa: PLC0415 - as above
    from privacy.vault.assembly import new_desk, require_register  # noqa: PLC0415 - as above

    effective: Settings = installed_settings()
    require_register(effective)
    with prepared_state(effective) as (engine, secrets):
        yield new_desk(engine, secrets, effective.vault, utc_now, new_metrics()), engine


@contextmanager
def _progress() -> "Iterator[Callable[[int], None]]":
    from rich.console import Console  # noqa: PLC0415 - keeps --help quick
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    columns = (SpinnerColumn(), "[progress.description]{task.description}", MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("Wrapping keys", total=None)
        yield lambda count: progress.advance(task, count)


def _tell_revealed(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        for one in document["results"]:
            if one["error"] is None:
                typer.echo(one["value"])
            else:
                say(f"{one['token']}: {one['message']}")
    if document["revealed"] < len(document["results"]):
        raise typer.Exit(FAILED)
