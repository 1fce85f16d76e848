"""Policies: put by version, and remembered by the process that goes by them.

A policy that another process puts is in force here about a second later. While the store cannot be
read the policy known last stays in force; a process that knows none yet lets nothing through.
"""

from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from candor.kernel.clock import Clock
from candor.kernel.database import session_of
from candor.kernel.errors import NotFoundError, UnavailableError
from candor.kernel.logging import log
from privacy.audit.store import Entry, append
from privacy.pii import store
from privacy.pii.detectors import DetectorPool
from privacy.pii.policy import Policy, Rule

DEFAULT = "default"
_BELIEVED = timedelta(seconds=1)


class PolicyRegister:
    """The policy that one process goes by. Safe to share between threads."""

    def __init__(self, engine: Engine, clock: Clock, name: str = DEFAULT) -> None:
        self._engine = engine
        self._clock = clock
        self._name = name
        self._known: Policy | None = None
        self._looked_at = clock() - _BELIEVED
        self._guard = Lock()

    def current(self) -> Policy:
        """Return the policy in force.

        Raises:
            UnavailableError: none is known, and the store cannot be read.
        """
        known = self._known
        if known is not None and timedelta(0) <= self._clock() - self._looked_at < _BELIEVED:
            return known
        with self._guard:
            try:
                self._known = self._read()
            except UnavailableError:
                if self._known is None:
                    raise
                log().warning("the policy cannot be read; the one known last is in force")
            finally:
                self._looked_at = self._clock()
            return self._known

    def refresh(self) -> None:
        """Look at once what is in force; called when this process has put a policy."""
        self._looked_at = self._clock() - _BELIEVED

    def _read(self) -> Policy:
        with session_of(self._engine) as session:
            return find_policy(session, self._name)


def find_policy(session: Session, name: str) -> Policy:
    """Return the newest version of a policy; the default one is there from the beginning.

    Raises:
        NotFoundError: there is none of that name.
    """
    found = store.latest_policy(session, name)
    if found is None and name == DEFAULT:
        return Policy(DEFAULT)
    if found is None:
        raise NotFoundError("No policy bears that name.")
    return found


def put_policy(session: Session, policy: Policy, author: str, at: datetime) -> Policy:
    """Store a policy as its next version and return it; the same once more stores nothing.

    It is written down in the audit log, by which all who put policies take turns.
    """
    told = {"name": policy.name, "by": author, "definition": policy.definition()}
    append(session, [Entry("pii_policy", at, told)])
    before = store.latest_policy(session, policy.name)
    if before is not None and before.definition() == policy.definition():
        return before
    version = (before.version if before is not None else 0) + 1
    made = _renamed(policy, version)
    store.add_policy(session, made, author, at)
    return made


def put_checked(
    session: Session, policy: Policy, pool: DetectorPool, author: str, at: datetime
) -> Policy:
    """Store a policy that can be carried out, as ``put_policy``.

    Raises:
        InvalidInputError: it names entities that there are not.
    """
    check_policy(policy, pool)
    return put_policy(session, policy, author, at)


def check_policy(policy: Policy, pool: DetectorPool) -> None:
    """Return when a policy can be carried out.

    Raises:
        InvalidInputError: it names entities that there are not.
    """
    pool.check(policy.entities, "entities")
    for n, rule in enumerate(policy.rules):
        pool.check(sorted(rule.entities), f"rules.{n}.entities")


def exempted(policy: Policy, entity: str, path: str, source: str) -> Policy:
    """Return a policy that lets an entity at a place pass: it was found there by mistake."""
    sources = frozenset({source}) if source else frozenset[str]()
    rule = Rule("allow", frozenset({entity}), paths=(path,), sources=sources)
    return _renamed(policy, policy.version, (rule, *policy.rules))


def _renamed(policy: Policy, version: int, rules: tuple[Rule, ...] | None = None) -> Policy:
    return Policy(
        policy.name,
        version,
        policy.entities,
        policy.threshold,
        policy.names,
        policy.evidence,
        policy.rules if rules is None else rules,
        policy.action,
        policy.keeps_format,
    )
