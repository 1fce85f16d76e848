"""What validation of 1,000 OpenSLO documents costs beside parsing their YAML alone.

One text of 1,000 documents: SLOs that count events, SLOs with a latency limit, composites, and the
SLIs and alert policies that they refer to. Parsing is the C loader of PyYAML; validation reads the
same text, follows every reference, checks every rule and keeps file and line of every value. CPU
time of the process, the median of five rounds in turn.

Budget: validation <= 3 x parsing.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import yaml

from slo.openslo import read_set

DOCUMENTS = 1000
ROUNDS = 5
GROUP = 5


def main() -> None:
    """Time both in turn and print the costs and their ratio."""
    text = yaml.safe_dump_all(
        document for number in range(DOCUMENTS // GROUP) for document in group(number)
    )
    read = read_set({"many.yaml": text})
    if read.findings or len(read.objectives) != DOCUMENTS * 3 // GROUP:
        raise RuntimeError("these documents were to be without a fault")
    parsing, validation = [], []
    for _ in range(ROUNDS):
        parsing.append(spent(lambda: list(yaml.load_all(text, Loader=yaml.CSafeLoader))))
        validation.append(spent(lambda: read_set({"many.yaml": text})))
    ratio = statistics.median(
        whole / alone for whole, alone in zip(validation, parsing, strict=True)
    )
    print(
        f"validation of {DOCUMENTS:,} OpenSLO documents ({len(text):,} bytes):"
        f" {statistics.median(validation):.3f} s CPU, YAML alone"
        f" {statistics.median(parsing):.3f} s, ratio {ratio:.2f} (<= 3)"
    )


def spent(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process that the work took."""
    started = time.process_time()
    work()
    return time.process_time() - started


def group(number: int) -> list[dict[str, Any]]:
    """Return five documents that belong together: three SLOs, and what two of them refer to."""
    ratio = {"ratioMetric": {"good": source(number, outcome="ok"), "total": source(number)}}
    latency = {"thresholdMetric": source(number, value="duration_ms")}
    fast = {"target": 0.95, "op": "lte", "value": 250, "displayName": "Within 250 ms"}
    parts = [
        {"indicatorRef": f"payments-{number}", "target": 0.99, "compositeWeight": 2},
        {"indicator": named("starts", ratio), "target": 0.995, "compositeWeight": 1},
    ]
    alerts = {"alertPolicies": [{"alertPolicyRef": f"burn-{number}"}]}
    return [
        document("SLI", f"payments-{number}", ratio),
        document("AlertPolicy", f"burn-{number}", policy()),
        document("SLO", f"good-{number}", slo(indicatorRef=f"payments-{number}", **alerts)),
        document("SLO", f"fast-{number}", slo(indicator=named("t", latency), objectives=[fast])),
        document("SLO", f"whole-{number}", slo(objectives=parts)),
    ]


def document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return a document with a name and two labels."""
    labels = {"team": "checkout", "tier": ["gold", "web"]}
    metadata = {"name": name, "displayName": f"About {name}", "labels": labels}
    return {"apiVersion": "openslo/v1", "kind": kind, "metadata": metadata, "spec": spec}


def slo(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML
    """Return the spec of an SLO over 30 days."""
    return {
        "description": "Payments that end well, as the customer sees them.",
        "service": "shop",
        "budgetingMethod": "Occurrences",
        "timeWindow": [{"duration": "30d", "isRolling": True}],
        "objectives": [{"displayName": "Good enough", "target": 0.999}],
    } | fields


def named(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return an inline indicator."""
    return {"metadata": {"name": name}, "spec": spec}


def source(number: int, value: str | None = None, **conditions: str) -> dict[str, Any]:
    """Return the journey events of one shop that match the conditions."""
    chosen = {"journey": f"checkout-{number}", "channel": ["web", "app"], **conditions}
    spec = {"signal": "events", "filter": chosen} | ({"value": value} if value else {})
    return {"metricSource": {"type": "candor", "spec": spec}}


def policy() -> dict[str, Any]:
    """Return the spec of an alert policy with all that belongs to it inline."""
    burn = {"kind": "burnrate", "op": "gt", "threshold": 14.4, "lookbackWindow": "1h"}
    condition = named("fast", {"severity": "page", "condition": burn})
    target = named("mail", {"target": "email"})
    return {
        "alertWhenBreaching": True,
        "conditions": [{"kind": "AlertCondition"} | condition],
        "notificationTargets": [{"kind": "AlertNotificationTarget"} | target],
    }


if __name__ == "__main__":
    main()
