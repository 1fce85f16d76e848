"""OTLP over gRPC: the same pipeline, and the errors that clients of gRPC can act on."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from sqlalchemy import Engine

from candor.kernel.errors import ConflictError
from candor.kernel.ports import NoRedaction, OtlpSignal, Redacted
from candor.kernel.rpc import serving_rpc
from candor.kernel.telemetry_store import TelemetryStore
from collector.doors.otlp_grpc import otlp_handlers
from collector.entrance import Entrance
from tests.support.asgi import Application, application_on
from tests.support.otlp import log_request, metric_request, span_request
from tests.support.server import free_port
from tests.support.stores import FixedClock, services_on

LIMIT = 100_000
TRACES: Any = TraceServiceStub
LOGS: Any = LogsServiceStub
METRICS: Any = MetricsServiceStub


class Served:
    """An application whose gRPC doors are open, and a channel to them."""

    def __init__(self, application: Application, channel: grpc.Channel) -> None:
        self.application = application
        self.channel = channel
        self.key = (("authorization", f"Bearer {application.key}"),)


@pytest.fixture
def open_doors(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Callable[..., Any]:
    def start(**settings: Any) -> Iterator[Served]:  # noqa: ANN401 - as services_on
        port = free_port()
        services = services_on(
            tmp_path, sqlite, embedded_telemetry, clock, grpc_port=port, **settings
        )
        with (
            application_on(services) as application,
            serving_rpc(
                services.settings, otlp_handlers(Entrance(services, application.collector))
            ),
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            yield Served(application, channel)

    return start


@pytest.fixture
def served(open_doors: Callable[..., Iterator[Served]]) -> Iterator[Served]:
    yield from open_doors(limits={"body_bytes": LIMIT})


def refused(call: Any, message: object, **options: Any) -> tuple[grpc.StatusCode, Status]:  # noqa: ANN401 - a method of a stub
    with pytest.raises(grpc.RpcError) as caught:
        call(message, **options)
    error: Any = caught.value
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    return error.code(), Status.FromString(details)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_every_service_takes_its_signal(served: Served, compression: grpc.Compression) -> None:
    options: dict[str, Any] = {"metadata": served.key, "compression": compression}
    spans = TRACES(served.channel).Export(span_request({}, {}), **options)
    logs = LOGS(served.channel).Export(log_request("x"), **options)
    metrics = METRICS(served.channel).Export(metric_request(), **options)
    assert not any(one.HasField("partial_success") for one in (spans, logs, metrics))
    served.application.collector.flush()
    counts = served.application.services.telemetry.query(
        "SELECT (SELECT count() FROM otel_traces) AS spans, (SELECT count() FROM otel_logs) AS logs"
    )
    assert counts == [{"spans": 2, "logs": 1}]
    accepted = served.application.services.metrics.requests.labels("otlp-grpc", "OK")
    assert accepted._value.get() == 3


def test_bad_records_are_counted_in_partial_success(served: Served) -> None:
    message = span_request({}, {})
    message.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    answer = TRACES(served.channel).Export(message, metadata=served.key)
    assert answer.partial_success.rejected_spans == 1
    assert answer.partial_success.error_message.startswith("span 0: malformed")


def test_who_may_not_enter_is_told_which_way(served: Served) -> None:
    export = TRACES(served.channel).Export
    other = served.application.make_key("slo:read")
    for metadata, expected in (
        (None, grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", "Bearer candor_x_y"),), grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", f"Bearer {other}"),), grpc.StatusCode.PERMISSION_DENIED),
    ):
        code, status = refused(export, span_request({}), metadata=metadata)
        assert (code, status.code) == (expected, expected.value[0])


def test_bytes_that_are_no_request_are_an_invalid_argument(served: Served) -> None:
    call = served.channel.unary_unary(
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        request_serializer=bytes,
        response_deserializer=bytes,
    )
    code, status = refused(call, b"\xff\xff", metadata=served.key)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert status.message == "The body is not an ExportLogsServiceRequest."
    assert call(b"", metadata=served.key) == b""


def test_a_message_over_the_limit_is_refused_packed_or_not(served: Served) -> None:
    message = log_request("x" * (LIMIT + 1))
    assert len(gzip.compress(message.SerializeToString())) < LIMIT
    export = LOGS(served.channel).Export
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        code, _ = refused(export, message, metadata=served.key, compression=compression)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not served.application.collector.intake._window


def test_what_nobody_foresaw_is_an_internal_error_without_its_text(
    open_doors: Callable[..., Iterator[Served]], capfd: pytest.CaptureFixture[str]
) -> None:
    class Breaking(NoRedaction):
        def redact_otlp(self, signal: OtlpSignal, request: bytes, source: str = "") -> Redacted:
            del source
            raise ValueError(f"{signal} {len(request)}: cannot mask customer-1@example.org")

    for served in open_doors(redactor=Breaking()):
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as caught:
                LOGS(served.channel).Export(log_request("y"), metadata=served.key, timeout=20)
            error: Any = caught.value
            assert (error.code(), error.details()) == (
                grpc.StatusCode.INTERNAL,
                "Internal error. Send it again later.",
            )
    told = capfd.readouterr()
    assert "customer-1" not in told.out + told.err


def test_a_full_spool_is_unavailable_with_a_time_to_come_back(
    open_doors: Callable[..., Iterator[Served]],
) -> None:
    for served in open_doors(spool={"max_bytes": 4096, "segment_age": "PT1H"}):
        export = LOGS(served.channel).Export
        export(log_request("x" * 5000), metadata=served.key)
        code, status = refused(export, log_request("y"), metadata=served.key)
        retry = RetryInfo()
        assert code is grpc.StatusCode.UNAVAILABLE
        assert status.details[0].Unpack(retry)
        assert 4 <= retry.retry_delay.seconds <= 6


def test_a_port_that_is_taken_is_named_with_the_setting(served: Served) -> None:
    settings = served.application.services.settings
    with pytest.raises(ConflictError, match="CANDOR_GRPC_PORT"), serving_rpc(settings, []):
        pass
