"""What Candor counts about itself, for Prometheus; no label ever holds a personal value."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The instruments of one process, on a registry of their own."""

    registry: CollectorRegistry
    events_accepted: Counter
    events_deduplicated: Counter
    events_rejected: Counter
    events_loaded: Counter
    requests: Counter
    commit_seconds: Histogram
    spool_bytes: Gauge
    segments_stuck: Gauge
    load_failures: Counter
    kafka_messages: Counter
    kafka_lag: Gauge
    kafka_paused: Gauge
    kafka_consuming: Gauge

    content_type: str = field(default=CONTENT_TYPE_LATEST, init=False)

    def exposition(self) -> bytes:
        """Return everything in the text format that a Prometheus scrapes."""
        return generate_latest(self.registry)


def new_metrics() -> Metrics:
    """Return fresh instruments, all at zero."""
    registry = CollectorRegistry()

    def counter(name: str, told: str, *labels: str) -> Counter:
        return Counter(f"candor_{name}", told, labels, registry=registry)

    def gauge(name: str, told: str, *labels: str) -> Gauge:
        return Gauge(f"candor_{name}", told, labels, registry=registry)

    return Metrics(
        registry=registry,
        events_accepted=counter("events_accepted", "Events acknowledged as durable.", "door"),
        events_deduplicated=counter("events_deduplicated", "Events known already.", "door"),
        events_rejected=counter("events_rejected", "Events refused.", "door", "code"),
        events_loaded=counter(
            "events_loaded", "Acknowledged events inserted into the telemetry store.", "signal"
        ),
        requests=counter("door_requests", "Requests at the hot doors.", "door", "status"),
        commit_seconds=Histogram(
            "candor_spool_commit_seconds",
            "Time of one group commit, write and sync.",
            buckets=_SECONDS,
            registry=registry,
        ),
        spool_bytes=gauge("spool_bytes", "Acknowledged bytes not yet inserted."),
        segments_stuck=gauge(
            "spool_segments_stuck",
            "Segments that the telemetry store cannot read; they wait on the disk.",
        ),
        load_failures=counter("load_failures", "Inserts that failed and are tried again."),
        kafka_messages=counter(
            "kafka_messages",
            "Messages dealt with: stored, refused (at least one event of it) or empty (no value).",
            "topic",
            "outcome",
        ),
        kafka_lag=gauge("kafka_lag", "Messages that wait in a partition.", "topic", "partition"),
        kafka_paused=gauge("kafka_paused", "Partitions that wait for room in the spool."),
        kafka_consuming=gauge("kafka_consuming", "1 while the consumer of Kafka runs."),
    )
