"""What Candor counts about itself, for Prometheus; no label ever holds a personal value."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_JOB_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The instruments of one process, on a registry of their own."""

    registry: CollectorRegistry
    events_accepted: Counter
    events_deduplicated: Counter
    events_rejected: Counter
    events_quarantined: Counter
    events_loaded: Counter
    events_shed: Counter
    requests: Counter
    commit_seconds: Histogram
    insert_seconds: Histogram
    spool_bytes: Gauge
    spool_refusals: Counter
    unsynced_seconds: Gauge
    loader_lag_seconds: Gauge
    segments_stuck: Gauge
    records_corrupt: Gauge
    load_failures: Counter
    identities: Gauge
    job_runs: Counter
    job_seconds: Histogram
    job_last_success: Gauge
    kafka: "KafkaMetrics"

    content_type: str = field(default=CONTENT_TYPE_LATEST, init=False)

    def exposition(self) -> bytes:
        """Return everything in the text format that a Prometheus scrapes."""
        return generate_latest(self.registry)


@dataclass(frozen=True, slots=True)
class KafkaMetrics:
    """The instruments of the consumer of Kafka."""

    messages: Counter
    lag: Gauge
    paused: Gauge
    consuming: Gauge


def new_metrics() -> Metrics:
    """Return fresh instruments, all at zero."""
    registry = CollectorRegistry()
    new = _Maker(registry)
    return Metrics(
        registry=registry,
        events_accepted=new.counter("events_accepted", "Events acknowledged as durable.", "door"),
        events_deduplicated=new.counter("events_deduplicated", "Events known already.", "door"),
        events_rejected=new.counter("events_rejected", "Events refused.", "door", "code"),
        events_quarantined=new.counter(
            "events_quarantined", "Refused events kept in quarantine.", "door", "code"
        ),
        events_loaded=new.counter("events_loaded", "Acknowledged events inserted.", "signal"),
        events_shed=new.counter("events_shed", "Records left out under pressure.", "kind"),
        requests=new.counter("door_requests", "Requests at the hot doors.", "door", "status"),
        commit_seconds=new.seconds("spool_commit_seconds", "Time of one write and sync."),
        insert_seconds=new.seconds("insert_seconds", "Time of one insert.", "signal"),
        spool_bytes=new.gauge("spool_bytes", "Bytes taken and not yet inserted."),
        spool_refusals=new.counter(
            "spool_refusals", "Requests refused before their body was read.", "reason", "kind"
        ),
        unsynced_seconds=new.gauge("spool_oldest_unsynced_seconds", "Wait of the oldest unsynced."),
        loader_lag_seconds=new.gauge("loader_lag_seconds", "Age of the oldest not yet inserted."),
        segments_stuck=new.gauge(
            "spool_segments_stuck", "Segments that the telemetry store cannot read; kept on disk."
        ),
        records_corrupt=new.gauge(
            "spool_records_corrupt", "Stretches of segments that went bad; kept on disk."
        ),
        load_failures=new.counter("load_failures", "Inserts that failed and are tried again."),
        identities=new.gauge("dedupe_identities", "Identities that are remembered."),
        job_runs=new.counter("job_runs", "Runs of recurring jobs.", "job", "outcome"),
        job_seconds=new.seconds(
            "job_seconds", "Time of one run of a job.", "job", most=_JOB_SECONDS
        ),
        job_last_success=new.gauge(
            "job_last_success_timestamp_seconds", "When a job last ended well.", "job"
        ),
        kafka=_kafka(new),
    )


def _kafka(new: "_Maker") -> KafkaMetrics:
    return KafkaMetrics(
        messages=new.counter(
            "kafka_messages",
            "Messages dealt with: stored, refused (at least one event of it) or empty (no value).",
            "topic",
            "outcome",
        ),
        lag=new.gauge("kafka_lag", "Messages that wait in a partition.", "topic", "partition"),
        paused=new.gauge("kafka_paused", "Partitions that wait for room in the spool."),
        consuming=new.gauge("kafka_consuming", "1 while the consumer of Kafka runs."),
    )


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes instruments under the house's prefix."""

    registry: CollectorRegistry

    def counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(f"candor_{name}", told, labels, registry=self.registry)

    def gauge(self, name: str, told: str, *labels: str) -> Gauge:
        return Gauge(f"candor_{name}", told, labels, registry=self.registry)

    def seconds(
        self, name: str, told: str, *labels: str, most: Sequence[float] = _SECONDS
    ) -> Histogram:
        return Histogram(f"candor_{name}", told, labels, buckets=most, registry=self.registry)
