"""The entry gate: events for a purpose that their person does not allow do not enter as theirs.

One read for all persons of a batch, and none when no event names a contract with a purpose. An
installation without any purpose lets everything in.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from candor.kernel.clock import Clock
from candor.kernel.metrics import Metrics
from candor.kernel.ports import EVERYONE, Admission, EntryTerms, GatedEvent, Refusal
from privacy.consent.decision import STATE_DAMAGED, Decision, Question, decide
from privacy.consent.policy import Policy
from privacy.consent.reading import Reader
from privacy.consent.register import PolicyRegister
from privacy.consent.standing import Standings

_NEVER_STRIPPED = {"suppressed", "state_unavailable"}


class ConsentGate:
    """Decides at entry by consent. Safe to share between threads."""

    def __init__(
        self, reader: Reader, policies: PolicyRegister, clock: Clock, metrics: Metrics
    ) -> None:
        self._reader = reader
        self._policies = policies
        self._clock = clock
        self._counted = metrics.consent.gated

    def admit(self, events: Sequence[GatedEvent], terms: Mapping[str, EntryTerms]) -> Admission:
        """Return which events must not enter, or not with their person.

        An event without a person is nobody's data and enters.

        Raises:
            UnavailableError: state cannot be read; nothing may enter.
        """
        if not terms:
            return EVERYONE
        judged = [
            (position, event, terms[event.schema])
            for position, event in enumerate(events)
            if event.subject_key and event.schema in terms
        ]
        if not judged:
            return EVERYONE
        keys = list(dict.fromkeys(event.subject_key for _, event, _ in judged))
        snapshot = self._reader.read(keys)
        policy = self._policies.policy(snapshot.policy_turn)
        if not policy.purposes:
            return EVERYONE
        now = self._clock()
        refusals: dict[int, Refusal] = {}
        stripped: set[int] = set()
        known: dict[tuple[str, str, tuple[str, ...]], Decision | None] = {}
        for position, event, term in judged:
            asked = (event.subject_key, event.channel, term.purposes)
            if asked not in known:
                person = list(snapshot.of(event.subject_key).values())
                known[asked] = (
                    STATE_DAMAGED
                    if event.subject_key in snapshot.damaged
                    else _first_denial(policy, person, event.channel, term.purposes, now)
                )
            denial = known[asked]
            if denial is None:
                continue
            strips = term.strips and denial.reason not in _NEVER_STRIPPED
            outcome = "stripped" if strips else "refused"
            self._counted.labels(outcome, denial.reason).inc()
            if outcome == "stripped":
                stripped.add(position)
            else:
                refusals[position] = _refusal(denial)
        return Admission(refusals, frozenset(stripped))


def _first_denial(
    policy: Policy,
    person: list[Standings],
    channel: str,
    purposes: Sequence[str],
    now: datetime,
) -> Decision | None:
    """Return the decision on the first purpose that is not allowed; none when all are."""
    for purpose in purposes:
        decision = decide(policy, person, Question(purpose, channel, "entry"), now)
        if not decision.allow:
            return decision
    return None


def _refusal(denial: Decision) -> Refusal:
    if denial.reason == "suppressed":
        return Refusal("suppressed", "This person must not be brought back.", "subject")
    return Refusal(
        "consent_denied",
        f"Consent for a purpose of the event's contract is missing: {denial.reason}.",
        "subject",
    )
