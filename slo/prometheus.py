"""Minutes read from a Prometheus and kept: so that budgets outlive its retention, and are exact.

Each minute is read after its end, and again while samples may still come late; the last reading
counts. A source that was not read before is read as far back as its objective's window reaches.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import httpx
import msgspec

from candor.kernel.errors import UnavailableError
from candor.kernel.ids import new_id
from candor.kernel.objective_settings import PrometheusSettings
from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from slo.objective import Objective
from slo.promql import STALE_SECONDS, STEP_SECONDS, Minutes, PromQL, Samples, samples_of
from slo.window import Window, whole_minute

_READ_AGAIN = timedelta(minutes=10)
_LONGEST = timedelta(days=7)
"""What one request may span: a Prometheus answers at most 11,000 samples of a series."""

_COLUMNS = ("source", "time", "outcome", "weight", "read_at")
_ENCODER = msgspec.json.Encoder()


def read_sources(
    telemetry: TelemetryStore,
    objectives: Sequence[Objective],
    settings: PrometheusSettings,
    client: httpx.Client,
    now: datetime,
) -> int:
    """Read what is new for every part that asks a Prometheus; return how many minutes were kept.

    One source that does not answer keeps no other from being read.

    Raises:
        UnavailableError: at least one could not be read; their objectives are named.
    """
    until = whole_minute(now - settings.delay)
    newest = _newest(telemetry)
    kept, failed = 0, []
    for queries, objective in _asked(objectives).items():
        last = newest.get(queries.digest)
        since = last - _READ_AGAIN if last is not None else until - objective.period.nominal
        try:
            for window in _parts(Window(whole_minute(since), until)):
                kept += _keep(telemetry, queries, _read(queries, window, settings, client), now)
        except UnavailableError as error:
            failed.append(f"{objective.name} ({error.detail})")
    if failed:
        raise UnavailableError(f"Prometheus was not read for {', '.join(failed)}")
    return kept


def _asked(objectives: Sequence[Objective]) -> dict[PromQL, Objective]:
    """Return every distinct asking, with the objective that looks furthest back for it."""
    asked: dict[PromQL, Objective] = {}
    for objective in objectives:
        for part in objective.parts:
            if part.queries is None:
                continue
            known = asked.setdefault(part.queries, objective)
            if objective.period.nominal > known.period.nominal:
                asked[part.queries] = objective
    return asked


def _newest(telemetry: TelemetryStore) -> dict[str, datetime]:
    rows = telemetry.query(statement("slo", "list_prometheus_sources"))
    return {str(row["source"]): row["newest"] for row in rows}


def _parts(window: Window) -> Iterator[Window]:
    since = window.since
    while since < window.until:
        until = min(window.until, since + _LONGEST)
        yield Window(since, until)
        since = until


def _read(
    queries: PromQL, window: Window, settings: PrometheusSettings, client: httpx.Client
) -> Minutes:
    since, until = (int(edge.timestamp()) for edge in (window.since, window.until))
    answers = {
        name: _range(client, _address(queries, settings), query, since - STALE_SECONDS, until)
        for name, query in queries.queries.items()
    }
    return queries.counts(answers, since, until)


def _address(queries: PromQL, settings: PrometheusSettings) -> str:
    address = settings.sources.get(queries.source) or settings.url
    if address is None:
        raise UnavailableError("no address is set: CANDOR_PROMETHEUS__URL")
    return address.get_secret_value().rstrip("/") + "/api/v1/query_range"


def _range(client: httpx.Client, address: str, query: str, since: int, until: int) -> list[Samples]:
    """Return the series of a query at every whole minute; a fault is told by its kind alone."""
    asked: Mapping[str, str | int] = {
        "query": query,
        "start": since,
        "end": until,
        "step": STEP_SECONDS,
    }
    try:
        answer = client.post(address, data=asked)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnavailableError(f"it does not answer: {type(error).__name__}") from None
    if not answer.is_success:
        raise UnavailableError(f"it refuses the query: status {answer.status_code}")
    try:
        return samples_of(answer.content)
    except ValueError:
        raise UnavailableError("what answers is no Prometheus: look at its address") from None


def _keep(telemetry: TelemetryStore, queries: PromQL, minutes: Minutes, now: datetime) -> int:
    if not minutes:
        return 0
    rows = [
        (queries.digest, datetime.fromtimestamp(at, UTC), outcome, weight, now)
        for at, (good, valid) in minutes.items()
        for outcome, weight in (("good", good), ("bad", valid - good))
    ]
    payload = _ENCODER.encode_lines(rows)
    telemetry.insert("prometheus_minutes", _COLUMNS, [payload], "JSONCompactEachRow", new_id(now))
    return len(minutes)
