"""Trying things out: scans that store and count nothing, and what another policy would change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jsonpatch

from privacy.pii.detectors import DetectorPool
from privacy.pii.policy import Policy
from privacy.pii.scanning import Circumstances, NameFinder, Scan, Scanner
from privacy.pii.schemas import finding_documents
from privacy.pii.transform import Transformer

_NOBODY = Circumstances()


@dataclass(frozen=True, slots=True)
class Trial:
    """What a policy is tried with."""

    pool: DetectorPool
    transformer: Transformer
    model: NameFinder | None = None

    def scan(self, policy: Policy, value: Any, *, literal: bool = False) -> Scan:  # noqa: ANN401 - any JSON
        """Return what a policy finds in a value, and makes of it."""
        return self._scanner(policy, literal=literal).scan(value, _NOBODY)

    def compare(
        self, before: Policy, after: Policy, payloads: Sequence[Any]
    ) -> list[dict[str, Any]]:
        """Return for each payload what the second policy finds, and how its result differs.

        The difference is what turns the result of the first policy into that of the second.

        Source: RFC 6902.
        """
        old, new = self._scanner(before), self._scanner(after)
        told = []
        for payload in payloads:
            was, now = old.scan(payload, _NOBODY), new.scan(payload, _NOBODY)
            patch = jsonpatch.make_patch([was.payload], [now.payload])
            told.append(
                {
                    "findings": finding_documents(now),
                    "payload": now.payload,
                    "blocked": now.blocked is not None,
                    "diff": [{**one, "path": str(one["path"])[2:]} for one in patch],
                }
            )
        return told

    def _scanner(self, policy: Policy, *, literal: bool = False) -> Scanner:
        detector = self.pool.detector(policy, has_model=self.model is not None)
        return Scanner(detector, policy, self.transformer, model=self.model, literal=literal)
