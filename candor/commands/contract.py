"""``candor contract``: register versioned event schemas, and see what they leave open."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from candor.commands.asking import Client, Key, Url
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
from candor.commands.keys import open_state

if TYPE_CHECKING:
    from collector.contracts.contract import Contract

app = typer.Typer(
    help="Versioned event schemas and what was agreed about them.", no_args_is_help=True
)
Paths = Annotated[list[Path], typer.Argument(help="YAML or JSON files, or folders of them.")]
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


@app.command("list")
def list_contracts(url: Url = None, key: Key = None, *, as_json: AsJson = False) -> None:
    """List every registered version, and what it leaves open.

    Example: candor contract list --json
    """
    with told_errors():
        documents = _registered(url, key)
    if as_json:
        print_json(documents)
        return
    if not documents:
        say("There is no contract yet. Register one: candor contract apply FILE")
    for one in documents:
        missing = f"missing {', '.join(one['missing'])}" if one["missing"] else "complete"
        typer.echo(f"{one['name']}/{one['version']}  {one['owner'] or '(no owner)'}  {missing}")


@app.command("show")
def show(
    reference: Annotated[str, typer.Argument(help="Name and version: checkout.payment/1-0-0.")],
    url: Url = None,
    key: Key = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show one version.

    Example: candor contract show checkout.payment/1-0-0
    """
    name, _, version = reference.rpartition("/")
    if not name:
        fail("Name a version: checkout.payment/1-0-0.", WRONG_USE)
    with told_errors():
        document = _one(url, key, name, version)
    print_document(document, as_json=as_json)


@app.command("apply")
def apply(paths: Paths, url: Url = None, key: Key = None, *, as_json: AsJson = False) -> None:
    """Register the contracts of files; a version that is there already must be the same.

    Example: candor contract apply examples/checkout-payment-contract.yaml
    """
    documents = [document for _, document in _documents(paths)]
    with told_errors():
        if url is not None:
            answer = _apply_there(Client(url, key), documents)
        else:
            answer = _apply_here(documents)
    if as_json:
        print_json(answer)
        return
    for word, references in answer.items():
        for reference in references:
            typer.echo(f"{word}: {reference}")


@app.command("check")
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files or folders; every registered version when absent."),
    ] = None,
    url: Url = None,
    key: Key = None,
    *,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            help="Also compare files with what is registered: backward, forward or full, or one of"
            " them with _transitive.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what contracts leave open; exit 1 when one is not complete or breaks another version.

    Checks owner, version, consent purposes, re-entry rule, dedupe key and failure path, and of
    files also that the schema can be used.

    Example: candor contract check contracts/ --mode full --json
    """
    from collector.contracts.governance import review_document  # noqa: PLC0415 - keeps --help quick

    if paths:
        reviews = [
            review_document(document) | {"file": str(file), "fault": _fault(document)}
            for file, document in _documents(paths)
        ]
        if mode is not None:
            with told_errors():
                _compare(reviews, [one for _, one in _documents(paths)], url, key, mode)
    else:
        with told_errors():
            reviews = [review_document(one) | {"fault": None} for one in _registered(url, key)]
    if as_json:
        print_json(reviews)
    else:
        _print_reviews(reviews)
    if not all(review["complete"] and review["fault"] is None for review in reviews) or any(
        review.get("compatible") is False for review in reviews
    ):
        raise typer.Exit(FAILED)


def _print_reviews(reviews: list[dict[str, Any]]) -> None:
    for review in reviews:
        typer.echo(f"{review['name'] or '(no name)'}/{review['version'] or '(no version)'}")
        for line in review["checklist"]:
            mark = "ok     " if line["present"] else "missing"
            typer.echo(f"  {mark}  {line['item']}: {line['question']}")
        if review["fault"] is not None:
            typer.echo(f"  fault    {review['fault']}")
        for one in review.get("breaks", ()):
            told = f"{one['path']}: {one['rule']}: {one['message']}"
            typer.echo(f"  breaks   {one['against']} {one['direction']}: {told}")


def _compare(
    reviews: list[dict[str, Any]],
    documents: list[dict[str, Any]],
    url: str | None,
    key: str | None,
    mode: str,
) -> None:
    """Add to each review that has no fault how its schema stands to the registered versions."""
    for review, document in zip(reviews, documents, strict=True):
        if review["fault"] is None:
            body = {"schema": document["schema"], "mode": mode}
            body |= {"version": str(document["version"])} if document.get("version") else {}
            review.update(_comparison(url, key, str(document["name"]), body))


def _comparison(url: str | None, key: str | None, name: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - a JSON document
    import json  # noqa: PLC0415 - keeps --help quick

    from pydantic import ValidationError  # noqa: PLC0415 - as above

    from collector.contracts.schemas import (  # noqa: PLC0415 - as above
        CompatibilityBody,
        compared,
        report_document,
    )

    try:
        asked = CompatibilityBody.model_validate(body)
    except ValidationError:
        fail("--mode is backward, forward or full, or one of them with _transitive.", WRONG_USE)
    if url is not None:
        path = f"/api/v1/contracts/{quote(name, safe='')}/compatibility"
        return Client(url, key).post(path, json.dumps(body).encode(), "application/json")
    with open_state(settings()) as (session, _):
        return report_document(compared(session, name, asked))


def _registered(url: str | None, key: str | None) -> list[dict[str, Any]]:
    if url is not None:
        documents: list[dict[str, Any]] = Client(url, key).get("/api/v1/contracts")
        return documents
    from collector.contracts.schemas import contract_document  # noqa: PLC0415 - keeps --help quick
    from collector.contracts.store import all_contracts  # noqa: PLC0415 - as above

    with open_state(settings()) as (session, _):
        return [contract_document(one) for one in all_contracts(session)]


def _one(url: str | None, key: str | None, name: str, version: str) -> dict[str, Any]:
    if url is not None:
        path = f"/api/v1/contracts/{quote(name, safe='')}/{quote(version, safe='')}"
        document: dict[str, Any] = Client(url, key).get(path)
        return document
    from collector.contracts.contract import SchemaVer  # noqa: PLC0415 - keeps --help quick
    from collector.contracts.schemas import contract_document  # noqa: PLC0415 - as above
    from collector.contracts.store import find_contract  # noqa: PLC0415 - as above

    with open_state(settings()) as (session, _):
        return contract_document(find_contract(session, name, SchemaVer.parse(version)))


def _apply_here(documents: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Register all of them or, when one cannot be, none."""
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - keeps --help quick
    from collector.contracts.store import register  # noqa: PLC0415 - as above

    contracts = [_contract(document) for document in documents]
    answer: dict[str, list[str]] = {"created": [], "unchanged": []}
    with open_state(settings()) as (session, _):
        for contract in contracts:
            word = "created" if register(session, contract, utc_now()) else "unchanged"
            answer[word].append(contract.reference)
    return answer


def _apply_there(client: Client, documents: list[dict[str, Any]]) -> dict[str, list[str]]:
    import json  # noqa: PLC0415 - keeps --help quick

    answer: dict[str, list[str]] = {"created": [], "unchanged": []}
    for contract in [_contract(document) for document in documents]:
        before = {f"{one['name']}/{one['version']}" for one in client.get("/api/v1/contracts")}
        path = f"/api/v1/contracts/{contract.name}/{contract.version}"
        client.put(path, json.dumps(contract.definition()).encode(), "application/json")
        answer["unchanged" if contract.reference in before else "created"].append(
            contract.reference
        )
    return answer


def _fault(document: dict[str, Any]) -> str | None:
    """Return why a document could not be registered, or none; a missing version is no fault."""
    from candor.kernel.errors import CandorError  # noqa: PLC0415 - keeps --help quick
    from collector.contracts.compilation import compile_schema  # noqa: PLC0415 - as above

    try:
        compile_schema(_contract({"version": "1-0-0"} | document).schema)
    except CandorError as error:
        return f"{error.path}: {error.detail}" if error.path else error.detail
    return None


def _contract(document: dict[str, Any]) -> "Contract":
    """Return the contract that a file describes: what ``PUT`` takes, with name and version."""
    from pydantic import ValidationError  # noqa: PLC0415 - keeps --help quick

    from candor.kernel.errors import InvalidInputError  # noqa: PLC0415 - as above
    from collector.contracts.schemas import ContractBody  # noqa: PLC0415 - as above

    rest = {name: value for name, value in document.items() if name not in {"name", "version"}}
    try:
        body = ContractBody.model_validate(rest)
    except ValidationError as error:
        raise InvalidInputError(told_fault(error)) from None
    return body.contract(str(document.get("name", "")), str(document.get("version", "")))


def _documents(paths: list[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """Return every document of the files with its file; one that is no mapping ends the command."""
    found = [(file, document) for file in _files(paths) for document in _read(file)]
    if not found:
        fail("There is no contract in these files.", WRONG_USE)
    return found


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES)
        else:
            yield path


def _read(file: Path) -> list[dict[str, Any]]:
    import yaml  # noqa: PLC0415 - keeps --help quick

    try:
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        fail(f"{file} cannot be read ({type(error).__name__}). Give YAML or JSON files.", WRONG_USE)
    if not all(isinstance(document, dict) for document in documents):
        fail(f"{file} holds something else than contracts.", WRONG_USE)
    return documents
