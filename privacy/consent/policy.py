"""All purposes and notices as they stood at one moment, and how they came to stand so."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

from privacy.consent.notice import Coverage, Notice, Reach, coverage_of, reach_of
from privacy.consent.purpose import Purpose


@dataclass(frozen=True, slots=True)
class Applied:
    """A version of a purpose, or a notice, with the turn and time at which it was put."""

    subject: Purpose | Notice
    turn: int
    at: datetime
    by: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is in force: purposes by key, notices by reference, and what consent under each allows.

    ``reaches`` are by the reference of a notice and the key of a purpose.
    """

    turn: int
    purposes: Mapping[str, Purpose]
    notices: Mapping[str, Notice]
    reaches: Mapping[tuple[str, str], Reach]


class PolicyHistory:
    """Every version that was ever put, in order; tells the policy of any moment."""

    def __init__(self, applied: Iterable[Applied] = ()) -> None:
        self._applied = sorted(applied, key=lambda one: one.turn)
        self._turns = [one.turn for one in self._applied]
        self._times = list(accumulate((one.at for one in self._applied), max))
        self._made: dict[int, Policy] = {}
        self.current = self._upto(len(self._applied))

    @property
    def changed_at(self) -> datetime | None:
        """When a purpose or notice was put last; none before the first."""
        return self._times[-1] if self._times else None

    def at_turn(self, turn: int) -> Policy:
        """Return the policy that the transaction of this number left."""
        return self._upto(bisect_right(self._turns, turn))

    def at(self, moment: datetime) -> Policy:
        """Return the policy that was in force at an instant."""
        return self._upto(bisect_right(self._times, moment))

    def _upto(self, count: int) -> Policy:
        policy = self._made.get(count)
        if policy is None:
            policy = self._made[count] = _Building().add(self._applied[:count])
        return policy


@dataclass(slots=True)
class _Building:
    purposes: dict[str, Purpose] = field(default_factory=dict)
    notices: dict[str, Notice] = field(default_factory=dict)
    coverages: dict[tuple[str, str], Coverage] = field(default_factory=dict)

    def add(self, applied: Iterable[Applied]) -> Policy:
        """Return the policy after these; a notice covers purposes as they are when it comes."""
        turn = 0
        for one in applied:
            turn = one.turn
            if isinstance(one.subject, Purpose):
                self.purposes[one.subject.key] = one.subject
            else:
                self._add_notice(one.subject)
        reaches = {
            (reference, key): reach_of(coverage, self.purposes[key])
            for (reference, key), coverage in self.coverages.items()
        }
        return Policy(turn, self.purposes, self.notices, reaches)

    def _add_notice(self, notice: Notice) -> None:
        self.notices[notice.reference] = notice
        for key in notice.purposes:
            purpose = self.purposes.get(key)
            if purpose is not None:
                self.coverages[notice.reference, key] = coverage_of(notice, purpose)
