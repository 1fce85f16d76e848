"""API keys: what they open, how they are made, checked and withdrawn.

A key reads ``candor_<id>_<secret>``: the id finds the row, the secret proves the right to it. Only
an HMAC of the whole key is stored, and it is compared in constant time.

A public key stands in a web page for everybody to read. So it opens one door alone, from the
origins that it names, and so many times a minute.
"""

import hmac
import re
import secrets as randomness
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Boolean, Engine, Integer, String, false, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from candor.kernel.clock import Clock
from candor.kernel.database import Base, UtcDateTime, session_of
from candor.kernel.errors import (
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
)
from candor.kernel.secrets import Secrets

PUBLIC_SCOPE = "ingest:public"
SCOPES = frozenset(
    {
        "ingest",
        PUBLIC_SCOPE,
        "slo:read",
        "slo:write",
        "consent:check",
        "consent:read",
        "consent:write",
        "pii:read",
        "pii:reveal",
        "requests:read",
        "requests:write",
        "lineage:read",
        "lineage:write",
        "scorecards:read",
        "admin",
    }
)
_PREFIX = "candor"
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_ID_BYTES = 8
_SECRET_BYTES = 24
_NAME_LENGTH = 120
_ORIGINS_LENGTH = 2000
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?/?"
)
_MOST_CACHED = 10_000


class ApiKeyRow(Base):
    """One API key, without the key."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(_NAME_LENGTH))
    key_hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[str] = mapped_column(String(400))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    origins: Mapped[str] = mapped_column(String(_ORIGINS_LENGTH), server_default="")
    per_minute: Mapped[int | None] = mapped_column(Integer)
    requires_consent: Mapped[bool] = mapped_column(Boolean, server_default=false())


@dataclass(frozen=True, slots=True)
class PublicTerms:
    """Under which terms a public key is taken.

    ``origins`` are pages' origins as browsers spell them, ``per_minute`` counts requests, and with
    ``requires_consent`` nothing is taken that does not bear its visitor's consent.
    """

    origins: tuple[str, ...]
    per_minute: int = 6000
    requires_consent: bool = False


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who may do what, until when; ``public`` is none for a key that must be kept secret."""

    id: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    public: PublicTerms | None = None

    def is_valid(self, at: datetime) -> bool:
        """Whether it opens anything at all at that instant."""
        if self.revoked_at is not None and self.revoked_at <= at:
            return False
        return self.expires_at is None or at < self.expires_at

    def allows(self, scope: str) -> bool:
        """Whether it opens what ``scope`` guards.

        ``admin`` opens everything but the door of public keys: a key that travels in an address
        must be worth nothing elsewhere.
        """
        return scope in self.scopes or ("admin" in self.scopes and scope != PUBLIC_SCOPE)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the only moment when it can be seen."""

    key: str
    record: ApiKey


class KeyRing:
    """Tells whom a key belongs to; asks the store at most once in ``trust`` for a good key.

    A refusal is never remembered, and expiry is checked at every use.
    """

    def __init__(self, engine: Engine, secrets: Secrets, clock: Clock, trust: timedelta) -> None:
        self._engine = engine
        self._secrets = secrets
        self._clock = clock
        self._trust = trust
        self._known: dict[str, tuple[datetime, ApiKey]] = {}

    def trusted(self, key: str, scope: str) -> ApiKey | None:
        """Return whose key this is if it was found good a moment ago; the store is not asked."""
        record = self._remembered(key, self._clock())
        return record if record is not None and record.allows(scope) else None

    def holder(self, key: str, scope: str) -> ApiKey:
        """Return whose key this is.

        Raises:
            UnauthenticatedError: it is unknown, expired or revoked.
            ForbiddenError: it lacks the scope.
        """
        record = self._record(key)
        if not record.allows(scope):
            raise ForbiddenError(
                f"This key lacks the scope {scope}. Make one with:"
                f" candor keys create NAME --scope {scope}"
            )
        return record

    def _record(self, key: str) -> ApiKey:
        now = self._clock()
        remembered = self._remembered(key, now)
        if remembered is not None:
            return remembered
        with session_of(self._engine) as session:
            record = find_key(session, self._secrets, key)
        if record is None or not record.is_valid(now):
            raise UnauthenticatedError(
                "The key is unknown, expired or revoked. Send a valid one as"
                " 'Authorization: Bearer KEY'."
            )
        if len(self._known) >= _MOST_CACHED:
            self._known.clear()
        self._known[key] = (now, record)
        return record

    def _remembered(self, key: str, now: datetime) -> ApiKey | None:
        at, record = self._known.get(key, (None, None))
        if at is None or record is None or now - at >= self._trust or not record.is_valid(now):
            return None
        return record


def create_key(  # noqa: PLR0913 - each is a column of the key
    session: Session,
    secrets: Secrets,
    *,
    name: str,
    scopes: Iterable[str],
    at: datetime,
    lifetime: timedelta | None = None,
    public: PublicTerms | None = None,
) -> NewKey:
    """Store a new key and return it, this once.

    Raises:
        InvalidInputError: no scope, an unknown one, no name, a lifetime that is not positive, or
            terms that are no public key's.
    """
    wanted = frozenset(scopes)
    unknown = sorted(wanted - SCOPES)
    if unknown or not wanted:
        raise InvalidInputError(
            f"Unknown scope {', '.join(unknown) or '(none given)'}. Scopes are:"
            f" {', '.join(sorted(SCOPES))}."
        )
    if not name.strip() or len(name) > _NAME_LENGTH:
        raise InvalidInputError(f"A key needs a name of 1 to {_NAME_LENGTH} characters.")
    if lifetime is not None and lifetime <= timedelta(0):
        raise InvalidInputError("A key must expire after it is made. Give a positive time.")
    terms = _checked_terms(wanted, public)
    key_id = randomness.token_hex(_ID_BYTES)
    key = f"{_PREFIX}_{key_id}_{randomness.token_urlsafe(_SECRET_BYTES)}"
    row = ApiKeyRow(
        id=key_id,
        name=name,
        key_hash=secrets.key_hash(key),
        scopes=" ".join(sorted(wanted)),
        created_at=at,
        expires_at=at + lifetime if lifetime is not None else None,
        revoked_at=None,
        origins=" ".join(terms.origins) if terms else "",
        per_minute=terms.per_minute if terms else None,
        requires_consent=terms is not None and terms.requires_consent,
    )
    session.add(row)
    return NewKey(key, _record_of(row))


def find_key(session: Session, secrets: Secrets, key: str) -> ApiKey | None:
    """Return the record of a key, valid or not; none when there is no such key."""
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != _PREFIX or not _KEY_ID.fullmatch(key_id) or not secret:
        return None
    row = session.get(ApiKeyRow, key_id)
    if row is None or not hmac.compare_digest(row.key_hash, secrets.key_hash(key)):
        return None
    return _record_of(row)


def all_keys(session: Session) -> list[ApiKey]:
    """Return every key that was ever made, oldest first."""
    rows = session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.id))
    return [_record_of(row) for row in rows]


def revoke_key(session: Session, key_id: str, at: datetime) -> ApiKey:
    """Withdraw a key and return its record; a second time changes nothing.

    Raises:
        NotFoundError: no key bears that id.
    """
    row = session.get(ApiKeyRow, key_id)
    if row is None:
        raise NotFoundError("No key bears that id. `candor keys list` shows them.")
    if row.revoked_at is None:
        row.revoked_at = at
    return _record_of(row)


def _checked_terms(scopes: frozenset[str], terms: PublicTerms | None) -> PublicTerms | None:
    """Return the terms with their origins spelt as browsers do; none for a secret key."""
    if PUBLIC_SCOPE not in scopes:
        if terms is not None:
            raise InvalidInputError(
                "Origins, a rate and required consent are terms of a public key. Make one with:"
                f" --scope {PUBLIC_SCOPE}"
            )
        return None
    if scopes != {PUBLIC_SCOPE}:
        raise InvalidInputError(
            f"A public key has the one scope {PUBLIC_SCOPE}. Make another key for the rest."
        )
    if terms is None or not terms.origins:
        raise InvalidInputError(
            "A public key is bound to the origins of its pages. Name one such as"
            " https://shop.example.org."
        )
    if terms.per_minute < 1:
        raise InvalidInputError("A public key needs a rate of at least one request a minute.")
    origins = tuple(dict.fromkeys(_origin(text) for text in terms.origins))
    if len(" ".join(origins)) > _ORIGINS_LENGTH:
        raise InvalidInputError("These are too many origins for one key. Make several keys.")
    return PublicTerms(origins, terms.per_minute, terms.requires_consent)


def _origin(text: str) -> str:
    """Return an origin as browsers send it. Source: RFC 6454, section 6.2."""
    found = _ORIGIN.fullmatch(text.strip().lower())
    if found is None:
        raise InvalidInputError(
            "An origin is a scheme and a host, and a port if it is not the usual one, such as"
            " https://shop.example.org. Write a host of another script in its ASCII form."
        )
    scheme, host, port = found["scheme"], found["host"], found["port"]
    usual = port is None or port == _DEFAULT_PORTS[scheme]
    return f"{scheme}://{host}" + ("" if usual else f":{port}")


def _record_of(row: ApiKeyRow) -> ApiKey:
    public = None
    if row.per_minute is not None:
        public = PublicTerms(tuple(row.origins.split()), row.per_minute, row.requires_consent)
    return ApiKey(
        row.id,
        row.name,
        frozenset(row.scopes.split()),
        row.created_at,
        row.expires_at,
        row.revoked_at,
        public,
    )
