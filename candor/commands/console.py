"""How every command talks: data on stdout, talk on stderr, 0 fine, 1 no or failed, 2 wrong use."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from pydantic import ValidationError

    from candor.kernel.settings import Settings

FAILED = 1
WRONG_USE = 2

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def say(sentence: str) -> None:
    """Talk to a person, on stderr."""
    typer.echo(sentence, err=True)


def print_json(document: object) -> None:
    """Print a document for a machine, on stdout."""
    json.dump(document, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def print_document(document: object, *, as_json: bool) -> None:
    """Print a document: for a machine as JSON, for a person as YAML in the order of its fields."""
    if as_json:
        print_json(document)
        return
    import yaml  # noqa: PLC0415 - keeps --help quick

    typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)


def told_fault(error: "ValidationError") -> str:
    """Return the first fault of a document that a person wrote: its place and what to write."""
    from candor.kernel.input_faults import first_fault  # noqa: PLC0415 - keeps --help quick

    return first_fault(error).sentence


def fail(sentence: str, code: int = FAILED) -> NoReturn:
    """End the command with a sentence and an exit code."""
    say(sentence)
    raise typer.Exit(code)


@contextmanager
def told_errors() -> Iterator[None]:
    """Turn an error of the house into its sentence and exit code 1."""
    from candor.kernel.errors import CandorError  # noqa: PLC0415 - keeps --help quick

    try:
        yield
    except CandorError as error:
        fail(f"{error.detail} (at {error.path})" if error.path else error.detail)


def settings() -> "Settings":
    """Return the effective settings, or end with what is wrong with them.

    From here on only warnings are logged: a command talks for itself.
    """
    from candor.kernel.logging import configure_logging  # noqa: PLC0415 - keeps --help quick
    from candor.kernel.settings import load_settings  # noqa: PLC0415 - as above

    configure_logging("warning")
    with told_errors():
        return load_settings()


def installed_settings() -> "Settings":
    """Return the settings of an installation that is there, or end: who only reads makes none.

    In a folder that is not the right one, an installation made on the way would have nothing to
    complain of.
    """
    effective = settings()
    if not is_installed(effective):
        fail(
            f"There is no installation in {effective.master_key_file.parent} here. Go to the folder"
            " that `candor serve` runs in, or say with CANDOR_STATE_DSN and CANDOR_MASTER_KEY_FILE"
            " where it is.",
            WRONG_USE,
        )
    return effective


def is_installed(effective: "Settings") -> bool:
    """Whether there is an installation where the settings say."""
    scheme, _, database = effective.state_dsn.partition(":///")
    lacks_state = scheme == "sqlite" and not Path(database).exists()
    return not lacks_state and (not effective.is_embedded or effective.master_key_file.exists())
