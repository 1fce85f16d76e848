"""What one process goes by at this moment: a policy, and the detector and scanner made for it."""

from collections.abc import Mapping
from threading import Lock

from candor.kernel.field_ports import ContractMarks
from privacy.pii.detectors import DetectorPool
from privacy.pii.finding import field_of
from privacy.pii.naming import entity_of_key, first_names, last_names
from privacy.pii.policy import Mark, Policy, mark_of
from privacy.pii.register import PolicyRegister
from privacy.pii.scanning import NameFinder, Scanner
from privacy.pii.suspicion import Lines
from privacy.pii.transform import Transformer

_MOST_KEYS = 20_000


class Guard:
    """A policy in force. Safe to share between threads."""

    def __init__(self, policy: Policy, lines: Lines, scanner: Scanner) -> None:
        self.policy = policy
        self.lines = lines
        self.scanner = scanner
        self._keys: dict[str, bool] = {}

    def is_suspect(self, key: str) -> bool:
        """Whether whatever stands under a key must be looked at, or the key itself."""
        known = self._keys.get(key)
        if known is None:
            promises = self.policy.names != "off" and entity_of_key(key) is not None
            known = promises or self.lines.lifts(key) or self.is_personal(key)
            if len(self._keys) >= _MOST_KEYS:
                self._keys.clear()
            self._keys[key] = known
        return known

    def is_personal(self, key: str) -> bool:
        """Whether a key holds personal data itself, or cannot be examined."""
        if self.scanner.is_known_clean(key, ()):
            return False
        try:
            return bool(self.scanner.findings_of(key, (), is_free=False))
        except Exception:  # noqa: BLE001 - its event is examined, fails there, and is refused
            return True


class Guards:
    """Makes the guard of the policy in force, once for each version of it."""

    def __init__(
        self,
        pool: DetectorPool,
        register: PolicyRegister,
        transformer: Transformer,
        *,
        model: NameFinder | None,
        memory: int,
    ) -> None:
        self._pool = pool
        self._register = register
        self._transformer = transformer
        self._model = model
        self._memory = memory
        self._made: Guard | None = None
        self._lock = Lock()

    def current(self) -> Guard:
        """Return what is in force.

        Raises:
            UnavailableError: the policy is not known, and cannot be read.
        """
        policy = self._register.current()
        made = self._made
        if made is not None and made.policy is policy:
            return made
        with self._lock:
            if self._made is None or self._made.policy != policy:
                self._made = self.guard(policy)
            self._made.policy = policy
            return self._made

    def guard(self, policy: Policy) -> Guard:
        """Return the guard of a policy."""
        return make_guard(
            policy, self._pool, self._transformer, model=self._model, memory=self._memory
        )


def make_guard(
    policy: Policy,
    pool: DetectorPool,
    transformer: Transformer,
    *,
    model: NameFinder | None,
    memory: int,
) -> Guard:
    """Return the guard of a policy, with what it looks at the first event with at hand."""
    detector = pool.detector(policy, has_model=model is not None)
    if policy.names == "strict":
        first_names()
        last_names()
    scanner = Scanner(detector, policy, transformer, model=model, memory=memory)
    return Guard(policy, detector, scanner)


class Marks:
    """What contracts say of the fields of their events, by the schema that an event names."""

    def __init__(self, contracts: ContractMarks) -> None:
        self._contracts = contracts
        self._read: dict[str, tuple[object, Mapping[str, Mark]]] = {}

    def of(self, schema: str) -> Mapping[str, Mark]:
        """Return the marks of a schema by field; none for one that nobody registered."""
        treatments = self._contracts.marks(schema)
        known = self._read.get(schema)
        if known is not None and known[0] is treatments:
            return known[1]
        marks = {
            field_of(tuple(_parts(pointer))): mark_of(treatment)
            for pointer, treatment in treatments.items()
        }
        if len(self._read) >= _MOST_KEYS:
            self._read.clear()
        self._read[schema] = (treatments, marks)
        return marks


def _parts(pointer: str) -> list[str]:
    """Return the parts of a JSON pointer; any item of a list is its first. Source: RFC 6901."""
    parts = [one.replace("~1", "/").replace("~0", "~") for one in pointer.split("/")[1:]]
    return ["0" if one in ("-", "*") else one for one in parts]
