"""``candor audit``: the head of the audit log, and whether what it says still holds."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from candor.commands.asking import Client, Key, Url
from candor.commands.console import (
    WRONG_USE,
    AsJson,
    fail,
    installed_settings,
    print_json,
    say,
    settings,
    told_errors,
)
from candor.commands.keys import open_state

app = typer.Typer(help="The log that proves what was done.", no_args_is_help=True)
_PUBLIC_KEY_DIGITS = 64


@app.command("head")
def head(url: Url = None, key: Key = None, *, as_json: AsJson = False) -> None:
    """Show the newest signed head; keep it somewhere else, and the log cannot be rewritten unseen.

    Example: candor audit head --json > head.json
    """
    with told_errors():
        document = Client(url, key).get("/api/v1/audit/head") if url else _head_here()
    if as_json:
        print_json(document)
        return
    for name, value in document.items():
        typer.echo(f"{name:10} {value}")


@app.command("key")
def public_key(*, as_json: AsJson = False) -> None:
    """Show the public key with which heads, proofs and receipts are checked.

    Example: candor audit key
    """
    from candor.kernel.secrets import open_secrets  # noqa: PLC0415 - keeps --help quick
    from privacy.audit.head import key_id  # noqa: PLC0415 - as above
    from privacy.audit.head import public_key as of_seed  # noqa: PLC0415 - as above

    with told_errors():
        secrets = open_secrets(settings().master_key_file, may_create=False)
    public = of_seed(secrets.audit_seed)
    document = {"algorithm": "Ed25519", "public_key": public.hex(), "key_id": key_id(public)}
    if as_json:
        print_json(document)
    else:
        typer.echo(document["public_key"])


@app.command("verify")
def verify(
    file: Annotated[
        Path | None,
        typer.Argument(help="A receipt, proof or head; the whole log of the store when absent."),
    ] = None,
    public: Annotated[
        str | None,
        typer.Option("--public-key", help="64 hexadecimal digits; this installation's if absent."),
    ] = None,
) -> None:
    """Check a receipt or proof offline, or the whole log; exit 1 and one sentence if it fails.

    Example: candor audit verify receipt.json --public-key 3b6a27bc...
    """
    with told_errors():
        found, told = _faults_here() if file is None else (_faults_in(file, public), "")
    for sentence in found:
        typer.echo(sentence)
    if found:
        fail("It does not hold.")
    say(told + "It holds.")


def _faults_in(file: Path, public: str | None) -> list[str]:
    from candor.kernel.secrets import open_secrets  # noqa: PLC0415 - keeps --help quick
    from privacy.audit.head import public_key as of_seed  # noqa: PLC0415 - as above

    try:
        text = file.read_text(encoding="utf-8")
        document: Any = json.loads(text, object_pairs_hook=_once_each)
        key = bytes.fromhex(public) if public is not None else None
    except OSError as error:
        fail(f"{file} cannot be read ({error.strerror}).", WRONG_USE)
    except ValueError:
        fail("The file is no JSON with each name once, or the key not hexadecimal.", WRONG_USE)
    documents = document if isinstance(document, list) and document else [document]
    if not all(isinstance(one, dict) for one in documents) or (
        public and len(public) != _PUBLIC_KEY_DIGITS
    ):
        fail(
            "Give a JSON object or a list of them, and a public key of 64 hexadecimal digits.",
            WRONG_USE,
        )
    if key is None:
        file = settings().master_key_file
        if not file.exists():
            fail(
                f"There is no master key at {file} here. Say with --public-key whose key signed it:"
                " `candor audit key` prints it where it was made.",
                WRONG_USE,
            )
        seed = open_secrets(file, may_create=False).audit_seed
        key = of_seed(seed)
    faults = [_told_of(one, key) for one in documents]
    numbered = len(documents) > 1
    return [
        f"number {number}: {fault}" if numbered else fault
        for number, fault in enumerate(faults, 1)
        if fault is not None
    ]


def _told_of(document: dict[str, Any], key: bytes) -> str | None:
    """Return what does not hold of a document, or why it is nothing that can be verified."""
    from candor.kernel.errors import CandorError  # noqa: PLC0415 - keeps --help quick

    try:
        return _fault_of(document, key)
    except CandorError as error:
        return error.detail


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object whose names are all different: of two values only one is checked."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _fault_of(document: dict[str, Any], key: bytes) -> str | None:
    from privacy.audit.head import key_id  # noqa: PLC0415 - keeps --help quick
    from privacy.audit.schemas import fault_of  # noqa: PLC0415 - as above
    from privacy.consent.receipt import fault_of as fault_of_receipt  # noqa: PLC0415 - as above

    if isinstance(document.get("receipt"), dict):
        return _fault_of(document["receipt"], key)
    if "schema_version" in document or "pii_processing" in document:
        return fault_of_receipt(document, key, key_id(key))
    return fault_of(document, key)


def _faults_here() -> tuple[list[str], str]:
    """Return what does not hold in the log of the store, and what was looked at."""
    from privacy.audit.log import examine  # noqa: PLC0415 - keeps --help quick

    with open_state(installed_settings()) as (session, secrets):
        found = examine(session, secrets.audit_seed)
    return found.faults, f"{found.entries} entries with the root {found.root_hash.hex()}. "


def _head_here() -> dict[str, Any]:
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - keeps --help quick
    from privacy.audit.log import sign_head  # noqa: PLC0415 - as above
    from privacy.audit.schemas import head_document  # noqa: PLC0415 - as above

    with open_state(installed_settings()) as (session, secrets):
        return head_document(sign_head(session, secrets.audit_seed, utc_now))
