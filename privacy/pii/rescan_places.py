"""Where telemetry keeps texts: the tables and columns that a re-scan looks into.

A column is judged under the path by which its text is known at the door, so that one policy means
the same to both. Left out are ids that Candor makes, pseudonyms, closed words and numbers.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from privacy.pii.finding import Path

Kind = Literal["text", "texts", "map", "maps"]
"""One text or one map of texts a row, or a list of them."""

STORED = "stored:"
"""How the source of a finding begins that was made at rest; the table follows."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and the path of its text at the door; of a map the path goes on with the key.

    ``distinct`` texts tell rows apart, to senders or to the engine, and are masked one to one.
    """

    name: str
    path: Path
    kind: Kind = "text"
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table, the column of its time, and its columns with texts.

    ``identity`` is what makes a row the same where merging changes the others; empty for all of
    its columns. ``schema`` and ``subject`` are the columns that name a row's contract and person.
    ``holds`` is how long a time each row tells of, which begins with its own.
    """

    name: str
    time: str
    columns: tuple[Column, ...]
    identity: tuple[str, ...] = ()
    schema: str = ""
    subject: str = ""
    holds: timedelta = timedelta()

    @property
    def source(self) -> str:
        """The source of what is found here."""
        return f"{STORED}{self.name}"


def _texts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, (name,)) for name in names)


def _map(name: str, owner: str, kind: Kind = "map") -> Column:
    return Column(name, (owner, "attributes"), kind)


_RESOURCE = (
    Column("ServiceName", ("resource", "attributes", "service.name")),
    _map("ResourceAttributes", "resource"),
)
_SCOPE = (Column("ScopeName", ("scope", "name")), Column("ScopeVersion", ("scope", "version")))
_SCHEMAS = (
    Column("ResourceSchemaUrl", ("resource", "schema_url")),
    Column("ScopeSchemaUrl", ("scope", "schema_url")),
    _map("ScopeAttributes", "scope"),
)
_EVENT = ("name", "journey", "step", "channel", "service")
_EVENTS = Table(
    "events",
    "time",
    (
        Column("id", ("id",), distinct=True),
        Column("instance", ("instance",), distinct=True),
        *_texts(*_EVENT, "schema", "error_code", "experiment", "variant", "currency"),
        Column("attributes", ("attributes",), "map"),
    ),
    schema="schema",
    subject="subject_key",
)
_TRACES = Table(
    "otel_traces",
    "Timestamp",
    (
        *_RESOURCE,
        *_SCOPE,
        Column("SpanName", ("span", "name")),
        Column("TraceState", ("span", "trace_state")),
        _map("SpanAttributes", "span"),
        Column("StatusMessage", ("span", "status", "message")),
        Column("Events.Name", ("event", "name"), "texts"),
        _map("Events.Attributes", "event", "maps"),
        Column("Links.TraceState", ("link", "trace_state"), "texts"),
        _map("Links.Attributes", "link", "maps"),
    ),
)
_LOGS = Table(
    "otel_logs",
    "Timestamp",
    (
        *_RESOURCE,
        *_SCOPE,
        *_SCHEMAS,
        Column("SeverityText", ("log", "severity_text")),
        Column("Body", ("log", "body")),
        _map("LogAttributes", "log"),
        Column("EventName", ("log", "event_name")),
    ),
)
_POINTS = (
    *_RESOURCE,
    *_SCOPE,
    *_SCHEMAS,
    Column("MetricName", ("metric", "name")),
    Column("MetricDescription", ("metric", "description")),
    Column("MetricUnit", ("metric", "unit")),
    _map("Attributes", "point"),
)
_EXEMPLARS = _map("Exemplars.FilteredAttributes", "exemplar", "maps")
TABLES = (
    _EVENTS,
    Table("events_by_subject", "time", _texts("name", "journey")),
    *(
        Table(
            f"events_by_{time}",
            time,
            _texts(*_EVENT),
            identity=(*_EVENT, "outcome", time),
            holds=holds,
        )
        for time, holds in (("minute", timedelta(minutes=1)), ("hour", timedelta(hours=1)))
    ),
    _TRACES,
    _LOGS,
    *(
        Table(f"otel_metrics_{kind}", "TimeUnix", (*_POINTS, _EXEMPLARS))
        for kind in ("gauge", "sum", "histogram", "exponential_histogram")
    ),
    Table("otel_metrics_summary", "TimeUnix", _POINTS),
    Table(
        "vitals",
        "time",
        _texts("page", "device", "navigation_type", "journey", "step", "source"),
    ),
    Table(
        "checks",
        "time",
        (
            *(Column(name, (name,), distinct=True) for name in ("check", "location", "step")),
            *_texts("journey", "reason"),
        ),
    ),
)
"""Every table of telemetry that holds texts of senders."""
