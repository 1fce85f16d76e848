"""OpenSLO files as a command reads them, and what is found in them, told by file and line."""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from candor.commands.console import FAILED, WRONG_USE, fail, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slo.openslo import Placed

Place = Callable[[int], tuple[str, int]]
"""Tells the file of a line of several files together, and the line there."""

_BREAK = re.compile("[\n\x85\u2028\u2029]")
_BETWEEN = "\n---\n"


def read_texts(paths: list[Path]) -> dict[str, str]:
    """Return the texts of files, and of the YAML files in folders, by their names.

    Bytes that are no UTF-8 are kept as lone surrogates, to be found with their line.
    """
    files: list[Path] = []
    for path in paths:
        files += sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
    if not files:
        fail("There is no .yaml or .yml file in that folder.", WRONG_USE)
    return {str(file): _text(file) for file in files}


def joined(texts: Mapping[str, str]) -> tuple[bytes, Place]:
    """Return texts that can be read as one body, and what tells where a line of it is from."""
    names = list(texts)
    starts = [1]
    for text in texts.values():
        starts.append(starts[-1] + len(_BREAK.findall(text + _BETWEEN)))

    def place(line: int) -> tuple[str, int]:
        number = min(bisect_right(starts, line), len(names)) - 1
        return names[number], line - starts[number] + 1

    return _BETWEEN.join(texts.values()).encode(), place


def placed(document: Any, place: Place) -> Any:  # noqa: ANN401 - a JSON document
    """Return an answer about a body of several files, its findings told by their files."""
    for finding in document.get("findings", ()):
        if finding["file"] == "request":
            finding["file"], finding["line"] = place(finding["line"])
    return document


def refuse_unreadable(texts: Mapping[str, str]) -> None:
    """End the command when a text is no YAML: among others it could hide them."""
    from candor.kernel.document import read_documents  # noqa: PLC0415 - keeps --help quick

    findings = [
        (name, finding) for name, text in texts.items() for finding in read_documents(text)[1]
    ]
    if findings:
        tell(findings, err=True)
        fail("The documents have errors; nothing was applied.", FAILED)


def tell(findings: "Sequence[Placed]", *, err: bool = False) -> None:
    """Print findings, a line each."""
    for name, finding in findings:
        place = finding.path or "document"
        doubt = "warning: " if finding.severity == "warning" else ""
        typer.echo(
            f"{name}:{finding.line}: {place}: {finding.rule}: {doubt}{finding.message}", err=err
        )


def tell_difference(answer: Mapping[str, Any], *, dry_run: bool) -> None:
    """Print what applying changed: objectives, the documents around them, and what is doubtful."""
    for word in ("created", "changed", "unchanged", "removed"):
        for name in answer[word]:
            typer.echo(f"{word}: {name}")
        for document in answer["documents"]:
            if document["change"] == word != "unchanged" and document["kind"] != "SLO":
                typer.echo(f"{word}: {document['kind']}/{document['name']}")
    if not any(answer[word] for word in ("created", "changed", "removed")) and not any(
        document["change"] != "unchanged" for document in answer["documents"]
    ):
        say("Nothing changes.")
    for document in answer["documents"] if dry_run else []:
        for line in document["diff"]:
            typer.echo(f"{document['kind']}/{document['name']} {line}")
    for one in answer["findings"]:
        place = f"{one['file']}:{one['line']}: {one['path'] or 'document'}"
        say(f"{place}: {one['rule']}: {one['severity']}: {one['message']}")
    if dry_run:
        say("Nothing was applied.")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        fail(f"{file} cannot be read ({type(error).__name__}). Name OpenSLO files.", WRONG_USE)
