"""Files of JSON: an array, one object, or one object a line."""

import json
from collections.abc import Iterator
from pathlib import Path

from collector.importers.record import Record, open_text


def read_json(path: Path) -> Iterator[Record]:
    """Yield the objects of a file; lines are read one by one, an array as a whole.

    A Segment batch (an object with ``batch``) yields its calls.
    """
    with open_text(path) as file:
        start = file.read(1)
        while start.isspace():
            start = file.read(1)
        if start == "[":
            yield from _whole(start + file.read())
            return
        line = start + file.readline()
        number = 1
        while line:
            if line.strip():
                yield from _one(line, number)
            line = file.readline()
            number += 1


def _whole(text: str) -> Iterator[Record]:
    try:
        documents = json.loads(text)
    except (ValueError, RecursionError):
        yield Record(1, fault="The file is not a JSON array.")
        return
    for number, document in enumerate(documents, start=1):
        yield Record(number, document)


def _one(line: str, number: int) -> Iterator[Record]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        yield Record(number, fault="The line is not JSON.")
        return
    if isinstance(document, dict) and isinstance(document.get("batch"), list):
        for call in document["batch"]:
            yield Record(number, call)
    else:
        yield Record(number, document)
