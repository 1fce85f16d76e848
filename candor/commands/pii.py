"""``candor pii``: scan a file, try a policy before it is put, and see what was found where."""

import json
import sys
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import typer

from candor.commands.asking import Client, Key, Url
from candor.commands.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    fail,
    installed_settings,
    is_installed,
    print_document,
    print_json,
    say,
    settings,
    told_errors,
    told_fault,
)
from candor.commands.keys import open_state
from candor.commands.pii_rescan import rescan

if TYPE_CHECKING:
    from pydantic import BaseModel
    from sqlalchemy.orm import Session

    from privacy.pii.detectors import DetectorPool
    from privacy.pii.policy import Policy
    from privacy.pii.trial import Trial

app = typer.Typer(help="Personal data: found, and kept out.", no_args_is_help=True)
policy_app = typer.Typer(help="What is looked for, and what becomes of it.", no_args_is_help=True)
app.add_typer(policy_app, name="policy")
app.command("rescan")(rescan)
_JSON = "application/json"
Name = Annotated[str, typer.Option("--name", help="The name of the policy.")]


@app.command("scan")
def scan(  # noqa: PLR0913 - each is an option of the command
    file: Annotated[str, typer.Argument(help="JSON, JSON lines or text; - is the standard input.")],
    url: Url = None,
    key: Key = None,
    *,
    policy: Annotated[str, typer.Option("--policy", help="The policy to go by.")] = "default",
    entity: Annotated[
        list[str] | None, typer.Option("--entity", help="Look for exactly these.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="The least score, from 0 to 1.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 when anything is found.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the personal data in a file, and what the policy makes of it; nothing is stored.

    Example: candor pii scan event.json --json
    """
    body = _question(file) | {"policy": policy}
    body |= {"entities": entity} if entity else {}
    body |= {"threshold": threshold} if threshold is not None else {}
    with told_errors():
        if url is not None:
            document = Client(url, key).post("/api/v1/pii/scan", json.dumps(body).encode(), _JSON)
        else:
            document = _scan_here(body)
    if as_json:
        print_json(document)
    else:
        for one in document["findings"]:
            typer.echo(
                f"{one['path'] or '/'}  {one['entity']}  {one['start']}-{one['end']}"
                f"  {one['score']:.2f}  {one['action']}"
            )
        say(f"{len(document['findings'])} found.")
    if strict and document["findings"]:
        raise typer.Exit(FAILED)


@policy_app.command("show")
def show_policy(
    name: Annotated[str, typer.Argument(help="The name of the policy.")] = "default",
    url: Url = None,
    key: Key = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show a policy as it stands.

    Example: candor pii policy show
    """
    with told_errors():
        document = Client(url, key).get(_path(name)) if url is not None else _policy_here(name)
    print_document(document, as_json=as_json)


@policy_app.command("apply")
def apply_policy(
    file: Annotated[Path, typer.Argument(help="The policy, as YAML or JSON.")],
    url: Url = None,
    key: Key = None,
    *,
    name: Name = "default",
    as_json: AsJson = False,
) -> None:
    """Put the next version of a policy; servers go by it about a second later.

    Example: candor pii policy apply policy.yaml
    """
    body = _read(file)
    with told_errors():
        if url is not None:
            document = Client(url, key).put(_path(name), json.dumps(body).encode(), _JSON)
        else:
            document = _apply_here(name, body)
    if as_json:
        print_json(document)
    else:
        typer.echo(f"{document['name']} version {document['version']}")


@policy_app.command("test")
def try_policy(  # noqa: PLR0913 - each is an option of the command
    payloads: Annotated[Path, typer.Argument(help="A JSON payload, or one a line.")],
    url: Url = None,
    key: Key = None,
    *,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="A policy to try, as YAML or JSON.")
    ] = None,
    name: Name = "default",
    as_json: AsJson = False,
) -> None:
    """Show what a policy would make of payloads, and how that differs from what stands.

    Paths of rules fit whole events: an attribute stands under ``attributes``. Nothing is stored.

    Example: candor pii policy test events.ndjson --policy stricter.yaml
    """
    values = _payloads(_text_of(str(payloads)))
    body: dict[str, Any] = {"payloads": values if values is not None else [_text_of(str(payloads))]}
    body |= {"policy": _read(policy)} if policy is not None else {}
    with told_errors():
        if url is not None:
            sent = json.dumps(body).encode()
            document = Client(url, key).post(f"{_path(name)}/test", sent, _JSON)
        else:
            document = _try_here(name, body)
    if as_json:
        print_json(document)
        return
    for n, one in enumerate(document["results"]):
        for change in one["diff"]:
            typer.echo(f"{n}: {change['op']} {change['path'] or '/'}  {change.get('value', '')}")
    say(f"{sum(bool(one['diff']) for one in document['results'])} payloads differ.")


@app.command("findings")
def findings(
    url: Url = None,
    key: Key = None,
    *,
    state: Annotated[
        str | None, typer.Option("--state", help="open, accepted or false_positive")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List what was found where, the latest first; of values only the shape is known.

    Example: candor pii findings --state open
    """
    query = {"limit": limit} | ({"state": state} if state is not None else {})
    with told_errors():
        if url is not None:
            found = Client(url, key).get(f"/api/v1/pii/findings?{urlencode(query)}")
        else:
            found = _findings_here(state, limit)
    if as_json:
        print_json(found)
        return
    for one in found:
        typer.echo(
            f"{one['id']}  {one['entity']}  {one['source']}  {one['path']}  {one['count']}"
            f"  {one['action']}  {one['state']}"
        )
    if not found:
        say("Nothing was found.")


def _path(name: str) -> str:
    return f"/api/v1/pii/policies/{quote(name, safe='')}"


def _text_of(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        fail(f"{file} cannot be read ({error.strerror}).", WRONG_USE)
    except UnicodeDecodeError:
        fail(f"{file} is no text in UTF-8.", WRONG_USE)


def _question(file: str) -> dict[str, Any]:
    """Return what is in a file: one payload, a list of those on its lines, or a text."""
    text = _text_of(file)
    values = _payloads(text)
    if values is None:
        return {"text": text}
    return {"payload": values[0] if len(values) == 1 else values}


def _payloads(text: str) -> list[Any] | None:
    """Return the JSON value that a text is, or those on its lines; none when it is neither."""
    try:
        return [json.loads(text)]
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()] or None
    except ValueError:
        return None


def _read(file: Path) -> Any:  # noqa: ANN401 - a JSON document
    import yaml  # noqa: PLC0415 - keeps --help quick

    try:
        return yaml.safe_load(_text_of(str(file)))
    except yaml.YAMLError:
        fail(f"{file} is neither YAML nor JSON.", WRONG_USE)


def _checked(kind: "type[BaseModel]", body: object) -> Any:  # noqa: ANN401 - of that kind
    from pydantic import ValidationError  # noqa: PLC0415 - keeps --help quick

    try:
        return kind.model_validate(body)
    except ValidationError as error:
        fail(told_fault(error))


def _pool() -> "DetectorPool":
    from privacy.pii.detectors import DetectorPool  # noqa: PLC0415 - keeps --help quick

    wanted = settings().pii
    others = wanted.ner.entities.values()
    return DetectorPool(wanted.cache_dir, wanted.recognizers, 0, others)


def _trial(key: bytes) -> "Trial":
    from privacy.pii.namemodel import open_model  # noqa: PLC0415 - keeps --help quick
    from privacy.pii.transform import Transformer  # noqa: PLC0415 - as above
    from privacy.pii.trial import Trial  # noqa: PLC0415 - as above

    model = open_model(settings().pii.ner)
    return Trial(_pool(), Transformer(key).for_trials(), model)


def _standing(name: str) -> "tuple[Policy, bytes]":
    """Return a policy as it stands, and the key of digests.

    Where no installation is, that is the policy that Candor comes with, and nothing is made.
    """
    from privacy.pii.assembly import mask_key  # noqa: PLC0415 - keeps --help quick
    from privacy.pii.policy import Policy  # noqa: PLC0415 - as above
    from privacy.pii.register import DEFAULT, find_policy  # noqa: PLC0415 - as above

    if name == DEFAULT and not is_installed(settings()):
        return Policy(DEFAULT), token_bytes(32)
    with open_state(installed_settings()) as (session, secrets):
        return find_policy(session, name), mask_key(secrets)


def _scan_here(body: dict[str, Any]) -> dict[str, Any]:
    from privacy.pii.schemas import ScanBody, scan_document  # noqa: PLC0415 - keeps --help quick

    asked = _checked(ScanBody, body)
    found, key = _standing(asked.policy)
    policy, trial = asked.adapted(found), _trial(key)
    trial.pool.check(policy.entities, "entities")
    is_text = asked.text is not None
    value = asked.text if is_text else asked.payload
    return scan_document(trial.scan(policy, value, literal=is_text))


def _policy_here(name: str) -> dict[str, Any]:
    from privacy.pii.schemas import policy_document  # noqa: PLC0415 - keeps --help quick

    return policy_document(_standing(name)[0])


def _apply_here(name: str, body: object) -> dict[str, Any]:
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - keeps --help quick
    from privacy.pii.register import put_checked  # noqa: PLC0415 - as above
    from privacy.pii.schemas import PolicyBody, name_of, policy_document  # noqa: PLC0415 - as above

    policy = _checked(PolicyBody, body).policy(name_of(name))
    with open_state(settings()) as (session, _):
        made = put_checked(session, policy, _pool(), "command line", utc_now())
    return policy_document(made)


def _try_here(name: str, body: object) -> dict[str, Any]:
    from privacy.pii.schemas import TestBody  # noqa: PLC0415 - keeps --help quick

    asked = _checked(TestBody, body)
    before, key = _standing(name)
    trial = _trial(key)
    after = before if asked.policy is None else asked.policy.policy(name)
    trial.pool.check(after.entities, "policy.entities")
    return {"results": trial.compare(before, after, asked.payloads)}


def _findings_here(state: Any, limit: int) -> list[dict[str, Any]]:  # noqa: ANN401 - a word of a person
    from privacy.pii.store import find_findings  # noqa: PLC0415 - keeps --help quick

    if state not in (None, "open", "accepted", "false_positive"):
        fail("A state is open, accepted or false_positive.", WRONG_USE)

    def found(session: "Session") -> list[dict[str, Any]]:
        return find_findings(session, state, None, limit)

    with open_state(installed_settings()) as (session, _):
        return found(session)
