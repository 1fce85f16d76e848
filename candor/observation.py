"""Candor measured like what it measures: its own counts, as OTLP metrics through its own intake.

Once a minute each process that takes telemetry sends what its counters gained since, so that the
objectives in ``self_objectives.yaml`` have something to count. The way goes past the doors: what is
sent here is no request, and feeds nothing back into the counts.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Sample
from sqlalchemy.orm import Session

from candor.kernel.database import session_of
from candor.kernel.errors import CandorError, ConflictError
from candor.kernel.logging import log
from candor.kernel.services import Services
from candor.wiring import Installation
from collector.receivers.decoding import Reception
from collector.receivers.otlp import PROTOBUF, read_request
from slo.openslo import read_set
from slo.register import apply_set, revisions_of, stored_documents, wait_to_apply

_EVERY_SECONDS = 60.0
_SOURCE = "candor"
_DELTA = 1
_UNAVAILABLE = frozenset(
    {"429", "500", "502", "503", "504", "UNAVAILABLE", "INTERNAL", "UNKNOWN", "RESOURCE_EXHAUSTED"}
)
"""Statuses of HTTP and gRPC by which Candor turns a request away for want of its own."""

_DOCUMENTS = "self_objectives.yaml"
_Labels = tuple[str, ...]


def apply_self_objectives(services: Services) -> list[str]:
    """Apply Candor's objectives on itself where nobody has changed or removed them.

    Returns the names of the objectives that are new. Doing it again changes nothing.
    """
    try:
        with session_of(services.engine) as session:
            if not _missing(session):
                return []
            wait_to_apply(session)
            documents = read_set(_missing(session), stored_documents(session))
            return apply_set(session, documents, services.clock(), _SOURCE).created
    except ConflictError:  # another process applied them in this moment
        return []


def _missing(session: Session) -> dict[str, str]:
    """Return the texts of Candor's own documents that are neither stored nor were removed.

    None where every SLO is there or was removed: the others are there for them.
    """
    text = files("candor").joinpath(_DOCUMENTS).read_text(encoding="utf-8")
    known = {(one.kind, one.name) for one in stored_documents(session)}
    missing = [
        one
        for one in read_set({_DOCUMENTS: text}).documents
        if (one.kind, one.name) not in known and not revisions_of(session, one.name)
    ]
    if not any(one.kind == "SLO" for one in missing):
        return {}
    return {one.name: one.text for one in missing}


@dataclass(slots=True)
class SelfObservation:
    """What this process has told so far; safe in one thread at a time."""

    installation: Installation
    since: datetime
    _told: dict[tuple[str, _Labels], float] = field(default_factory=dict)

    def report(self) -> None:
        """Send what was gained since the last time.

        Raises:
            UnavailableError: the spool does not take it; the next report holds it too.
        """
        services = self.installation.services
        now = services.clock()
        told = dict(self._told)
        message = ExportMetricsServiceRequest()
        resource = message.resource_metrics.add()
        resource.resource.attributes.add(key="service.name").value.string_value = _SOURCE
        metrics = resource.scope_metrics.add().metrics
        span = (int(self.since.timestamp() * 1e9), int(now.timestamp() * 1e9))
        _requests(metrics, services.metrics.requests, told, span)
        _seconds(metrics, services.metrics.door_seconds, told, span)
        lag = metrics.add(name="candor.loader.lag", unit="s").gauge.data_points.add()
        lag.as_double = _samples(services.metrics.loader_lag_seconds)[0].value
        lag.time_unix_nano = span[1]
        reception = Reception(now, services.settings.limits, services.secrets, _SOURCE)
        request = read_request("metrics", message.SerializeToString(), PROTOBUF, reception)
        self.installation.collector.intake.submit_otlp("metrics", request, _SOURCE).wait()
        self._told, self.since = told, now


@contextmanager
def observing(installation: Installation) -> Iterator[None]:
    """Report every minute inside the block, and once at its end."""
    observation = SelfObservation(installation, installation.services.clock())
    stopping = threading.Event()

    def report() -> None:
        try:
            observation.report()
        except CandorError as error:
            log().warning("candor cannot tell of itself; the next report will", reason=error.detail)

    def repeat() -> None:
        while not stopping.wait(_EVERY_SECONDS):
            report()

    thread = threading.Thread(target=repeat, name="observation")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        report()


def _requests(
    metrics: Any,  # noqa: ANN401 - a repeated field of messages
    counter: Counter,
    told: dict[tuple[str, _Labels], float],
    span: tuple[int, int],
) -> None:
    """Add the requests at each door by what became of them."""
    gained: dict[_Labels, int] = {}
    for sample in _samples(counter):
        if not sample.name.endswith("_total"):
            continue
        door, status = sample.labels["door"], sample.labels["status"]
        added = _gained(told, ("requests", (door, status)), sample.value)
        labels = (door, _outcome(status))
        gained[labels] = gained.get(labels, 0) + added
    data = metrics.add(name="candor.door.requests", unit="1").sum
    data.aggregation_temporality, data.is_monotonic = _DELTA, True
    for (door, outcome), added in gained.items():
        if added:
            point = data.data_points.add(
                as_int=added, start_time_unix_nano=span[0], time_unix_nano=span[1]
            )
            point.attributes.add(key="door").value.string_value = door
            point.attributes.add(key="outcome").value.string_value = outcome


def _seconds(
    metrics: Any,  # noqa: ANN401 - as above
    histogram: Histogram,
    told: dict[tuple[str, _Labels], float],
    span: tuple[int, int],
) -> None:
    """Add how long answers took at each door."""
    buckets: dict[str, list[tuple[float, int]]] = {}
    for sample in _samples(histogram):
        if sample.name.endswith("_bucket"):
            door, bound = sample.labels["door"], sample.labels["le"]
            added = _gained(told, ("seconds", (door, bound)), sample.value)
            buckets.setdefault(door, []).append((float(bound), added))
    data = metrics.add(name="candor.door.seconds", unit="s").histogram
    data.aggregation_temporality = _DELTA
    for door, cumulated in buckets.items():
        counts = [added for _, added in cumulated]
        if not counts[-1]:
            continue
        point = data.data_points.add(
            count=counts[-1],
            bucket_counts=[own - before for own, before in zip(counts, [0, *counts], strict=False)],
            explicit_bounds=[bound for bound, _ in cumulated[:-1]],
            start_time_unix_nano=span[0],
            time_unix_nano=span[1],
        )
        point.attributes.add(key="door").value.string_value = door


def _samples(instrument: MetricWrapperBase) -> Sequence[Sample]:
    return next(iter(instrument.collect())).samples


def _gained(told: dict[tuple[str, _Labels], float], name: tuple[str, _Labels], value: float) -> int:
    before = told.get(name, 0.0)
    told[name] = value
    return int(value - before)


def _outcome(status: str) -> str:
    if status in _UNAVAILABLE:
        return "unavailable"
    return "ok" if status == "OK" or status.startswith("2") else "refused"
