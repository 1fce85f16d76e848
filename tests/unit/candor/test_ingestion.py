from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from candor.ingestion import Kind, Total, bring_in
from collector.importers.record import Record


class Collecting:
    """A destination that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, kind: Kind, documents: Sequence[Any]) -> Mapping[str, Any]:
        del kind
        self.sent += documents
        return {"accepted": len(documents), "deduplicated": 0, "quarantined": 0, "rejected": []}

    def finish(self) -> None:
        """Nothing waits."""


@pytest.mark.parametrize(("kind", "is_sent"), [("segment", False), ("native", True)])
def test_a_call_from_a_file_is_not_corrected_by_the_time_of_its_sending(
    kind: Kind,
    is_sent: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    call = {"userId": "u", "timestamp": "2025-01-01T00:00:00Z", "sentAt": "2025-01-01T00:00:05Z"}
    destination, total = Collecting(), Total()
    bring_in(
        "calls.json", [Record(1, call), Record(2, 5)], kind, destination, total, lambda _: None
    )
    assert ["sentAt" in one for one in destination.sent[:1]] == [is_sent]
    assert destination.sent[1] == 5
    assert total.accepted == 2
