"""What the examination of a batch has found, beside what it has changed in it.

It is data alone, so that it can come from another process: whoever asked counts the findings, asks
the vault, and tells of failures.
"""

from dataclasses import dataclass, field

from candor.kernel.ports import Refusal
from privacy.pii.finding import Located, field_of
from privacy.pii.policy import Policy
from privacy.pii.scanning import Scan
from privacy.pii.transform import Errands


@dataclass(slots=True)
class Outcome:
    """Findings, each with its value, by a policy; what is wanted of the vault; what must not pass.

    ``refusals`` are by the position of the event or record; ``failures`` are the kinds of errors
    for which texts could not be examined: never their words, which may repeat a text.
    """

    policy: Policy
    errands: Errands = field(default_factory=Errands)
    sightings: list[tuple[Located, str]] = field(default_factory=list)
    refusals: dict[int, Refusal] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def note(self, scan: Scan) -> None:
        """Add what a scan found."""
        self.sightings += zip(scan.findings, scan.samples, strict=True)


def blocked(located: Located) -> Refusal:
    """Return why an event or a record with this finding is not stored."""
    return Refusal(
        "pii_blocked",
        f"The policy keeps what holds {located.finding.entity} out.",
        field_of(located.path),
    )
