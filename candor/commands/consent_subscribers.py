"""``candor consent subscribers``: who is told of changes of consent, and how far each is."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candor.commands.asking import Client, Key, Url
from candor.commands.consent_state import ACTOR
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

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

app = typer.Typer(help="Who is told of changes of consent.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The name of a subscriber.")]
_PATH = "/api/v1/consent/subscribers"
_JSON = "application/json"
_TROUBLES = {
    "PrivateAddressError": "its address is private (CANDOR_CONSENT__PRIVATE_SUBSCRIBERS=true lets"
    " those be told)"
}


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="YAML with subscribers by name.")],
    url: Url = None,
    key: Key = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put subscribers, all or none, and show what changes.

    A value {env: NAME} is taken from the environment of this command.

    Example: candor consent subscribers apply examples/consent-subscribers.yaml --dry-run
    """
    text = _filled(file)

    def here(session: "Session", sealing: bytes, now: "datetime") -> Any:  # noqa: ANN401 - a JSON document
        from privacy.propagation.looking import apply_text  # noqa: PLC0415 - keeps --help quick

        return apply_text(session, sealing, text, now, ACTOR, dry_run=dry_run)

    with told_errors():
        path = f"{_PATH}/apply?dry_run={int(dry_run)}"
        answer = Client(url, key).post(path, text, "application/yaml") if url else _here(here)
    if as_json:
        print_json(answer)
        return
    for one in answer["changes"]:
        typer.echo(f"{one['change']}: {one['kind']} {one['name']}")
        for name, values in one["fields"].items():
            typer.echo(f"  {name}: {values['before']} -> {values['after']}")
        for purpose in one["unknown_purposes"]:
            say(f"{one['name']}: no purpose bears the key {purpose} yet, so nothing is told of it.")


@app.command("list")
def list_all(url: Url = None, key: Key = None, *, as_json: AsJson = False) -> None:
    """Show every subscriber: how far it is, who waits, and what was given up.

    Example: candor consent subscribers list
    """

    def here(session: "Session", _key: bytes, _: "datetime") -> Any:  # noqa: ANN401 - a JSON document
        from privacy.propagation.looking import described  # noqa: PLC0415 - keeps --help quick
        from privacy.propagation.store import positions  # noqa: PLC0415 - as above

        return [described(session, name) for name in positions(session)]

    with told_errors():
        answer = Client(url, key).get(_PATH) if url else _here(here, may_create=False)
    if as_json:
        print_json(answer)
        return
    if not answer:
        say("Nobody is told.")
    for one in answer:
        trouble = f", {_TROUBLES.get(one['outcome'], one['outcome'])}" if one["outcome"] else ""
        since = one["behind_since"]
        knows = "knows everything" if since is None else f"behind since {since}"
        typer.echo(
            f"{one['name']}: {knows}, next is {one['position']}, {one['persons_waiting']} persons"
            f" wait, {one['dead_letters']} dead letters{trouble}"
        )


@app.command("replay")
def replay(  # noqa: PLR0913 - each is an option of the command
    name: Name,
    url: Url = None,
    key: Key = None,
    *,
    since: Annotated[
        str | None, typer.Option("--from", help="A position: 120, 120.3 or beginning.")
    ] = None,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Try again what was given up.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell a subscriber again: everything from a position on, or what was given up.

    Example: candor consent subscribers replay crm --from 120
    """
    if (since is None) != dead_letters:
        fail("Say either --from or --dead-letters.", WRONG_USE)

    def here(session: "Session", _key: bytes, now: "datetime") -> Any:  # noqa: ANN401 - a JSON document
        from privacy.propagation import register  # noqa: PLC0415 - keeps --help quick
        from privacy.propagation.looking import described  # noqa: PLC0415 - as above
        from privacy.propagation.position import position_of  # noqa: PLC0415 - as above

        if since is None:
            register.revive(session, name, now, ACTOR)
        else:
            register.replay(session, name, position_of(since), now, ACTOR)
        return described(session, name)

    with told_errors():
        text = json.dumps({"from": since or "dead_letters"}).encode()
        there = f"{_PATH}/{name}/replay"
        answer = Client(url, key).post(there, text, _JSON) if url else _here(here)
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"{name} is told again from {answer['position']} on")


@app.command("dead-letters")
def dead_letters(name: Name, url: Url = None, key: Key = None, *, as_json: AsJson = False) -> None:
    """Show what was given up, at most a thousand; persons are pseudonyms.

    Example: candor consent subscribers dead-letters crm
    """

    def here(session: "Session", _key: bytes, _: "datetime") -> Any:  # noqa: ANN401 - a JSON document
        from privacy.propagation.looking import given_up  # noqa: PLC0415 - keeps --help quick

        return given_up(session, name, None)

    with told_errors():
        there = f"{_PATH}/{name}/dead-letters"
        answer = Client(url, key).get(there) if url else _here(here, may_create=False)
    if as_json:
        print_json(answer)
        return
    if not answer:
        say("Nothing was given up.")
    for one in answer:
        typer.echo(
            f"{one['position']}  {one['consent_event']}: {one['outcome']} after"
            f" {one['attempts']} attempts"
        )


def _here(ask: "Callable[[Session, bytes, datetime], Any]", *, may_create: bool = True) -> Any:  # noqa: ANN401 - a JSON document
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - keeps --help quick
    from privacy.propagation.sealing import USE  # noqa: PLC0415 - as above

    effective = settings() if may_create else installed_settings()
    with open_state(effective) as (session, secrets):
        return ask(session, secrets.sealing_key(USE), utc_now())


def _filled(file: Path) -> bytes:
    """Return a file's document as JSON, its secrets taken from the environment."""
    import yaml  # noqa: PLC0415 - keeps --help quick

    try:
        document = yaml.safe_load(file.read_bytes())
    except OSError as error:
        fail(f"{file} cannot be read ({error.strerror}).", WRONG_USE)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        fail(f"{file} is no YAML that can be read.", WRONG_USE)
    return json.dumps(_with_secrets(document), default=str).encode()


def _with_secrets(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    if isinstance(value, dict):
        if set(value) == {"env"}:
            secret = os.environ.get(str(value["env"]))
            if not secret:
                fail(f"The variable {value['env']} is not set.", WRONG_USE)
            return secret
        return {name: _with_secrets(one) for name, one in value.items()}
    return [_with_secrets(one) for one in value] if isinstance(value, list) else value
