"""One record of an OTLP request as a request of its own: the form in which a refused one is kept.

What is kept is what was sent, before pseudonyms and JSON texts were put in, so that it can be read
anew. Log records and data points have no ids: before the request stands what tells the record from
all others, the digest of the request that it came in and its place there. Spans have theirs.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from typing import Any, overload

from google.protobuf.message import Message

from candor.kernel.ports import OtlpSignal
from collector.receivers.otlp_json import read_json, write_json
from collector.receivers.otlp_shape import SHAPES

JOURNEY = ".journey"
"""What a call ends in when the record itself was stored, and only its journey event refused."""


def signal_of(call: str) -> OtlpSignal:
    """Return the signal of a refused record's call.

    Raises:
        KeyError: it is the call of no OTLP record.
    """
    return {f"{signal}{end}": signal for signal in SHAPES for end in ("", JOURNEY)}[call]


class LoneRecords(Sequence[bytes]):
    """Each record of a request by its position, made when it is asked for.

    Those ``left_out`` are empty, and so is what would make all together weigh over ``most_bytes``:
    a resource that a thousand records share is in each of them.
    """

    def __init__(
        self,
        signal: OtlpSignal,
        read: Callable[[], Message],
        digest: str,
        left_out: Collection[int],
        most_bytes: int,
    ) -> None:
        self._signal = signal
        self._read = read
        self._digest = digest
        self._left_out = frozenset(left_out)
        self._room_bytes = most_bytes
        self._made: dict[int, bytes] = {}

    def __len__(self) -> int:
        """Return how many records the request has."""
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        """Return one record, or several."""
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if index not in self._made:
            self._made[index] = self._make(index)
        return self._made[index]

    @cached_property
    def _records(self) -> Sequence["_Place"]:
        return list(_places(self._signal, self._read()))

    def _make(self, index: int) -> bytes:
        if index in self._left_out:
            return b""
        identity = f"{self._digest}-{index}".encode() if self._digest else b""
        item = bytes([len(identity)]) + identity + _lone(self._signal, self._records[index])
        if len(item) > self._room_bytes:
            return b""
        self._room_bytes -= len(item)
        return item


def open_record(signal: OtlpSignal, payload: bytes) -> tuple[str, Message]:
    """Return what tells a kept record from all others, empty for a span, and its request."""
    start = 1 + payload[0]
    return payload[1:start].decode(), SHAPES[signal].request.FromString(payload[start:])


def record_document(signal: OtlpSignal, payload: bytes) -> dict[str, Any]:
    """Return a kept record in OTLP's JSON form."""
    return write_json(open_record(signal, payload)[1])


def mended_record(signal: OtlpSignal, payload: bytes, document: bytes) -> bytes:
    """Return a kept record with its request in the place of what a JSON document says.

    Raises:
        MalformedError: the document is not the JSON form of such a request.
    """
    message = read_json(document, SHAPES[signal].request)
    return payload[: 1 + payload[0]] + message.SerializeToString()


_Place = tuple[Any, Any, Any, Any]
"""Resource, scope, metric or none, and record; messages of the request."""


def _places(signal: OtlpSignal, message: Any) -> Iterator[_Place]:  # noqa: ANN401 - a request of this signal
    shape = SHAPES[signal]
    for resource in getattr(message, shape.resources):
        for scope in getattr(resource, shape.scopes):
            metrics = scope.metrics if signal == "metrics" else (None,)
            for metric in metrics:
                for record in _records_of(shape.records, scope, metric):
                    yield resource, scope, metric, record


def _records_of(records: str, scope: Any, metric: Any) -> Sequence[Any]:  # noqa: ANN401 - messages of any signal
    if metric is None:
        return list(getattr(scope, records))
    kind = metric.WhichOneof("data")
    return list(getattr(metric, kind).data_points) if kind is not None else ()


def _lone(signal: OtlpSignal, place: _Place) -> bytes:
    """Return a request with one record, and of all around it only what the record is part of."""
    shape = SHAPES[signal]
    resource, scope, metric, record = place
    message: Any = shape.request()
    resource_part = getattr(message, shape.resources).add()
    _copy(resource, resource_part, shape.scopes)
    scope_part = getattr(resource_part, shape.scopes).add()
    _copy(scope, scope_part, shape.records)
    if metric is None:
        getattr(scope_part, shape.records).append(record)
    else:
        kind = metric.WhichOneof("data")
        metric_part = scope_part.metrics.add()
        _copy(metric, metric_part, kind)
        points = getattr(metric_part, kind)
        _copy(getattr(metric, kind), points, "data_points")
        points.data_points.append(record)
    return bytes(message.SerializeToString())


def _copy(source: Any, target: Any, left_out: str) -> None:  # noqa: ANN401 - two messages of one type
    for field, value in source.ListFields():
        if field.name == left_out:
            continue
        if field.message_type is not None or field.is_repeated:
            getattr(target, field.name).MergeFrom(value)
        else:
            setattr(target, field.name, value)
