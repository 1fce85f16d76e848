"""Brings records of files in: through the stores of this machine, or through a server's doors."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, Protocol

import httpx
import msgspec

from candor.kernel.errors import UnauthenticatedError, UnavailableError
from candor.kernel.settings import Settings
from candor.wiring import Installation, open_installation
from collector.event import Receipt
from collector.importers.record import Record
from collector.receivers import segment
from collector.receivers.decoding import Reception
from collector.receivers.native import decode_native, encode_receipt

Kind = Literal["native", "segment"]
BATCH: Mapping[Kind, int] = {"native": 1000, "segment": 200}
MOST_FAULTS = 20
_TIMEOUT_SECONDS = 120


@dataclass(slots=True)
class Total:
    """What became of all records; of the refused ones, the first are named."""

    accepted: int = 0
    deduplicated: int = 0
    quarantined: int = 0
    rejected: int = 0
    faults: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, file: str, line: int, code: str, message: str) -> None:
        """Count one refused record."""
        self.rejected += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append({"file": file, "line": line, "code": code, "message": message})


class Destination(Protocol):
    """Where records go."""

    def send(self, kind: Kind, documents: Sequence[Any]) -> Mapping[str, Any]:
        """Hand over a batch and return its native answer, when it is durable."""

    def finish(self) -> None:
        """Return when everything sent can be queried."""


def bring_in(  # noqa: PLR0913, PLR0917 - one call for each file
    file: str,
    records: Iterable[Record],
    kind: Kind,
    destination: Destination,
    total: Total,
    advance: Callable[[int], None],
) -> None:
    """Send the records of one file in batches, and add up what becomes of them."""
    stream = iter(records)
    while batch := list(islice(stream, BATCH[kind])):
        whole = [record for record in batch if record.fault is None]
        for record in batch:
            if record.fault is not None:
                total.refuse(file, record.line, "malformed", record.fault)
        if whole:
            answer = destination.send(kind, [_as_told(record.document, kind) for record in whole])
            total.accepted += answer["accepted"]
            total.deduplicated += answer["deduplicated"]
            total.quarantined += answer["quarantined"]
            for rejection in answer["rejected"]:
                line = whole[rejection["index"]].line
                place = f"{rejection['path']}: " if rejection["path"] else ""
                total.refuse(file, line, rejection["code"], place + rejection["message"])
        advance(len(batch))


@contextmanager
def open_destination(settings: Settings, url: str | None, key: str | None) -> Iterator[Destination]:
    """Give a running server at ``url``, or without it the stores that the settings name.

    Raises:
        ConflictError: no address was given, and a running server holds the embedded stores.
    """
    if url is None:
        with open_installation(settings) as installation:
            yield _Stores(installation)
        return
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_SECONDS) as client:
        yield _Server(client)


def _as_told(document: Any, kind: Kind) -> Any:  # noqa: ANN401 - any JSON may be in a file
    """Return a record to send; of a call without ``sentAt``.

    That says how far off the client's clock was when the call was received, which was then.
    """
    if kind == "segment" and isinstance(document, dict):
        return {name: value for name, value in document.items() if name != "sentAt"}
    return document


class _Stores:
    """The stores of this machine, through the same pipeline as the doors."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def send(self, kind: Kind, documents: Sequence[Any]) -> Mapping[str, Any]:
        services = self._installation.services
        reception = Reception(
            services.clock(), services.settings.limits, services.secrets, "candor ingest"
        )
        if kind == "segment":
            calls: list[bytes | msgspec.Raw] = [msgspec.json.encode(one) for one in documents]
            batch = segment.decode_segment(segment.SegmentBody(calls, None), "batch", reception)
        else:
            batch = decode_native(msgspec.json.encode(documents), "application/json", reception)
        receipt: Receipt = self._installation.collector.submit(batch).wait()
        answer: dict[str, Any] = msgspec.json.decode(encode_receipt(receipt))
        return answer

    def finish(self) -> None:
        self._installation.collector.flush()


class _Server:
    """A running server, through its doors."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def send(self, kind: Kind, documents: Sequence[Any]) -> Mapping[str, Any]:
        if kind == "segment":
            return self._post("/v1/batch", {"batch": documents})
        return self._post("/api/v1/events", documents)

    def finish(self) -> None:
        self._post("/api/v1/events", [], {"x-candor-sync": "1"})

    def _post(
        self, path: str, document: object, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        try:
            answer = self._client.post(path, json=document, headers=headers)
        except httpx.TransportError as error:
            raise UnavailableError(
                f"The server does not answer ({type(error).__name__}). Is it running?"
            ) from None
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise UnauthenticatedError("The server wants another key. Give one with scope ingest.")
        if answer.is_error:
            raise UnavailableError(f"The server answered {answer.status_code}. Try again later.")
        result: dict[str, Any] = answer.json()
        return result
