"""The three Export services of OTLP over gRPC.

Messages arrive as bytes and take the same way as over HTTP. Trouble that passes is UNAVAILABLE with
RetryInfo and never RESOURCE_EXHAUSTED, which clients take for final; only gRPC itself says that,
of a message over the limit.

Source: OTLP specification 1.x, "OTLP/gRPC"; google.rpc.Status in ``grpc-status-details-bin``.
"""

from collections.abc import Callable, Mapping

import grpc

from candor.kernel.errors import CandorError, TooLargeError
from candor.kernel.http import bearer_key
from candor.kernel.logging import log
from candor.kernel.ports import OtlpSignal
from candor.kernel.tracing import start_span
from collector.doors.otlp import KINDS, submit_otlp
from collector.entrance import Entrance
from collector.receivers import otlp
from collector.receivers.otlp_shape import DOOR

_SERVICES: Mapping[OtlpSignal, str] = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_METRIC_LABEL = "otlp-grpc"


def otlp_handlers(entrance: Entrance) -> list[grpc.GenericRpcHandler]:
    """Return the services, each with its method Export."""
    return [
        grpc.method_handlers_generic_handler(
            service, {"Export": grpc.unary_unary_rpc_method_handler(_export(entrance, signal))}
        )
        for signal, service in _SERVICES.items()
    ]


def _export(
    entrance: Entrance, signal: OtlpSignal
) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    """Return the Export method of one signal."""
    services, name = entrance.services, _SERVICES[signal]
    requests = services.metrics.requests
    seconds = services.metrics.door_seconds.labels(_METRIC_LABEL)

    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        with start_span(services.tracer, f"{name}/Export"), seconds.time():
            try:
                answer = _taken(entrance, signal, body, context)
            except CandorError as error:
                status = otlp.status_of(error)
                requests.labels(_METRIC_LABEL, _CODES[status.code].name).inc()
                details = (("grpc-status-details-bin", status.SerializeToString()),)
                context.set_trailing_metadata(details)
                context.abort(_CODES[status.code], status.message)
            except Exception as error:  # noqa: BLE001 - gRPC would answer and log with its text
                log().error("an OTLP request failed", error=type(error).__name__)
                requests.labels(_METRIC_LABEL, grpc.StatusCode.INTERNAL.name).inc()
                context.abort(grpc.StatusCode.INTERNAL, "Internal error. Send it again later.")
            requests.labels(_METRIC_LABEL, grpc.StatusCode.OK.name).inc()
            return answer

    return export


def _taken(
    entrance: Entrance, signal: OtlpSignal, body: bytes, context: grpc.ServicerContext
) -> bytes:
    """Return the answer to a request when everything it says is on the disk."""
    authorization = str(dict(context.invocation_metadata()).get("authorization", ""))
    source = entrance.authenticate_now(lambda: bearer_key(authorization), DOOR)
    entrance.admit(source, KINDS[signal])
    limit = entrance.services.settings.limits.body_bytes
    if len(body) > limit:
        raise TooLargeError(f"The message is over {limit} bytes. Send smaller batches.")
    receipt = submit_otlp(entrance, signal, body, otlp.PROTOBUF, source).wait()
    return otlp.encode_response(signal, receipt, otlp.PROTOBUF)
