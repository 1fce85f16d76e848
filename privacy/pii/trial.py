"""Trying things out: a scan that stores nothing, and what another policy would change."""

from typing import Any

import jsonpatch

from privacy.pii.assembly import Pii
from privacy.pii.policy import Policy
from privacy.pii.scanning import Circumstances, Scan, Scanner
from privacy.pii.schemas import finding_documents

_NOBODY = Circumstances()


def scan_once(pii: Pii, policy: Policy, value: Any, *, literal: bool = False) -> Scan:  # noqa: ANN401 - any JSON
    """Return what a policy finds in a value, and makes of it; nothing is counted or kept."""
    return _scanner(pii, policy, literal=literal).scan(value, _NOBODY)


def compare(pii: Pii, before: Policy, after: Policy, payloads: list[Any]) -> list[dict[str, Any]]:
    """Return for each payload what the second policy finds, and how its result differs.

    The difference is what turns the result of the first policy into that of the second.

    Source: RFC 6902.
    """
    old, new = _scanner(pii, before), _scanner(pii, after)
    told = []
    for payload in payloads:
        was, now = old.scan(payload, _NOBODY), new.scan(payload, _NOBODY)
        patch = jsonpatch.make_patch([was.payload], [now.payload])
        diff = [{**one, "path": str(one["path"])[2:]} for one in patch]
        told.append(
            {
                "findings": finding_documents(now),
                "payload": now.payload,
                "blocked": now.blocked is not None,
                "diff": diff,
            }
        )
    return told


def _scanner(pii: Pii, policy: Policy, *, literal: bool = False) -> Scanner:
    detector = pii.pool.detector(policy, has_model=pii.model is not None)
    return Scanner(detector, policy, pii.transformer, model=pii.model, literal=literal)
