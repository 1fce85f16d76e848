"""What Candor counts about itself, for Prometheus; no label ever holds a personal value."""

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_FADES_AFTER_SECONDS = 180.0
_MOST_SOURCES = 100
_OTHER_SOURCE = "other"
_PLAIN_SOURCE = re.compile(r"[A-Za-z][A-Za-z._-]{0,31}[0-9]{0,3}")
"""Too short for a key, without an at sign, and with no more digits than "shop-web-12" has."""
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
    door_seconds: Histogram
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
    jobs: "JobMetrics"
    sources: "SourceMetrics"
    kafka: "KafkaMetrics"
    objectives: "ObjectiveMetrics"
    consent: "ConsentMetrics"
    vault: "VaultMetrics"
    pii: "PiiMetrics"

    content_type: str = field(default=CONTENT_TYPE_LATEST, init=False)

    def exposition(self) -> bytes:
        """Return everything in the text format that a Prometheus scrapes."""
        return generate_latest(self.registry)


@dataclass(frozen=True, slots=True)
class SourceMetrics:
    """What came of each source: a key by its name, as ``label`` shows it.

    A person may have written anything into a name, and names may be many: only a plain word of
    Latin letters is shown, and only the first hundred of them; all others together are ``other``.
    """

    events: Counter
    refusals: Counter
    _shown: dict[str, str] = field(default_factory=dict)
    _guard: Lock = field(default_factory=Lock)

    def label(self, source: str) -> str:
        """Return the value of the label ``source`` for what came from there."""
        known = self._shown.get(source)
        if known is not None:
            return known
        if not _PLAIN_SOURCE.fullmatch(source):
            return _OTHER_SOURCE
        with self._guard:
            if len(self._shown) >= _MOST_SOURCES:
                return _OTHER_SOURCE
            return self._shown.setdefault(source, source)


@dataclass(frozen=True, slots=True)
class JobMetrics:
    """The instruments of recurring jobs."""

    runs: Counter
    seconds: Histogram
    last_success: Gauge


@dataclass(frozen=True, slots=True)
class KafkaMetrics:
    """The instruments of the consumer of Kafka."""

    messages: Counter
    lag: Gauge
    paused: Gauge
    consuming: Gauge


@dataclass(frozen=True, slots=True)
class ObjectiveMetrics:
    """How objectives stood at the last evaluation, by their names; what is unknown has no sample.

    They fade on a replica that evaluates no more.
    """

    target: "FadingGauge"
    sli: "FadingGauge"
    remaining: "FadingGauge"
    burn: "FadingGauge"
    alerts: "FadingGauge"


@dataclass(frozen=True, slots=True)
class ConsentMetrics:
    """What consent decided, at its doors and at the entry of events."""

    decisions: Counter
    gated: Counter
    propagated: Counter
    lag: "FadingGauge"


@dataclass(frozen=True, slots=True)
class VaultMetrics:
    """What somebody asked the vault to show."""

    reveals: Counter


@dataclass(frozen=True, slots=True)
class PiiMetrics:
    """What was found of personal data at the entry and at rest, and what could not be examined."""

    findings: Counter
    new_kinds: Counter
    failures: Counter
    rescanned: Counter
    rewritten: Counter


class FadingGauge(Collector):
    """A gauge whose samples are shown together, and fade when nobody renews them."""

    def __init__(self, name: str, told: str, labels: Sequence[str], seconds: float) -> None:
        self._name, self._told, self._labels = name, told, labels
        self._seconds = seconds
        self._samples: Mapping[tuple[str, ...], float] = {}
        self._shown_at = -math.inf

    def show(self, samples: Mapping[tuple[str, ...], float]) -> None:
        """Put these in the place of all samples: label values in their order, and the value."""
        self._samples, self._shown_at = samples, time.monotonic()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return what was shown, unless that is too long ago."""
        family = GaugeMetricFamily(self._name, self._told, labels=self._labels)
        if time.monotonic() - self._shown_at < self._seconds:
            for labels, value in self._samples.items():
                family.add_metric(labels, value)
        yield family


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
        door_seconds=new.seconds("door_seconds", "Time to the answer at a hot door.", "door"),
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
        records_corrupt=new.gauge("spool_records_corrupt", "Stretches gone bad; kept on disk."),
        load_failures=new.counter("load_failures", "Inserts that failed and are tried again."),
        identities=new.gauge("dedupe_identities", "Identities that are remembered."),
        jobs=_jobs(new),
        sources=_sources(new),
        kafka=_kafka(new),
        objectives=_objectives(new),
        consent=_consent(new),
        vault=_vault(new),
        pii=_pii(new),
    )


def _pii(new: "_Maker") -> PiiMetrics:
    return PiiMetrics(
        findings=new.counter("pii_findings", "Personal values found.", "entity", "action"),
        new_kinds=new.counter(
            "pii_new_kinds", "Kinds of personal data at a place where none was known.", "entity"
        ),
        failures=new.counter("pii_failures", "Events and texts that could not be examined."),
        rescanned=new.counter("pii_rescanned_rows", "Stored rows examined again.", "table"),
        rewritten=new.counter("pii_rewritten_rows", "Stored rows rewritten by policy.", "table"),
    )


def _jobs(new: "_Maker") -> JobMetrics:
    return JobMetrics(
        runs=new.counter("job_runs", "Runs of recurring jobs.", "job", "outcome"),
        seconds=new.seconds("job_seconds", "Time of one run.", "job", most=_JOB_SECONDS),
        last_success=new.gauge(
            "job_last_success_timestamp_seconds", "When a job last ended well.", "job"
        ),
    )


def _consent(new: "_Maker") -> ConsentMetrics:
    return ConsentMetrics(
        decisions=new.counter(
            "consent_decisions", "Decisions on the use of personal data.", "stage", "reason"
        ),
        gated=new.counter(
            "entry_gate_events",
            "Events that the entry gate refused, or took the person from (stripped).",
            "outcome",
            "reason",
        ),
        propagated=new.counter(
            "consent_propagated",
            "Changes of consent told to subscribers: delivered, failed (tried again) or dead.",
            "subscriber",
            "outcome",
        ),
        lag=new.fading(
            "consent_propagation_lag_seconds",
            "Age of the oldest change that a subscriber was not told.",
            "subscriber",
        ),
    )


def _vault(new: "_Maker") -> VaultMetrics:
    return VaultMetrics(
        new.counter("vault_reveals", "Values that somebody asked for, by outcome.", "outcome")
    )


def _objectives(new: "_Maker") -> ObjectiveMetrics:
    return ObjectiveMetrics(
        target=new.fading("objective_target_ratio", "What is promised.", "objective"),
        sli=new.fading("objective_sli_ratio", "Good of valid in the window.", "objective"),
        remaining=new.fading(
            "objective_error_budget_remaining_ratio",
            "The error budget that is left of the window's; below 0 when overspent.",
            "objective",
        ),
        burn=new.fading(
            "objective_burn_rate", "Burn rate of a look-back.", "objective", "lookback"
        ),
        alerts=new.fading("objective_alerts", "Open alerts.", "objective", "kind", "severity"),
    )


def _sources(new: "_Maker") -> SourceMetrics:
    return SourceMetrics(
        new.counter(
            "source_events",
            "Events by source: accepted, deduplicated, or refused by code.",
            "source",
            "outcome",
        ),
        new.counter(
            "source_refusals", "Requests refused before their body was read.", "source", "reason"
        ),
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

    def fading(self, name: str, told: str, *labels: str) -> FadingGauge:
        gauge = FadingGauge(f"candor_{name}", told, labels, _FADES_AFTER_SECONDS)
        self.registry.register(gauge)
        return gauge

    def seconds(
        self, name: str, told: str, *labels: str, most: Sequence[float] = _SECONDS
    ) -> Histogram:
        return Histogram(f"candor_{name}", told, labels, buckets=most, registry=self.registry)
