from datetime import timedelta

import pytest
from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.errors import (
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
)
from candor.kernel.security import (
    PUBLIC_SCOPE,
    KeyRing,
    NewKey,
    PublicTerms,
    all_keys,
    create_key,
    find_key,
    revoke_key,
)
from tests.support.stores import NOON, SECRETS, FixedClock

TRUST = timedelta(seconds=1)


def made(engine: Engine, scope: str = "ingest", lifetime: timedelta | None = None) -> NewKey:
    with session_of(engine) as session:
        return create_key(session, SECRETS, name="shop", scopes=[scope], at=NOON, lifetime=lifetime)


def test_a_key_opens_what_its_scope_says_and_nothing_else(state: Engine, clock: FixedClock) -> None:
    ring = KeyRing(state, SECRETS, clock, TRUST)
    key = made(state).key
    assert ring.holder(key, "ingest").name == "shop"
    with pytest.raises(ForbiddenError, match="slo:read"):
        ring.holder(key, "slo:read")
    assert ring.holder(made(state, "admin").key, "slo:read").name == "shop"


def test_a_key_ends_at_the_very_instant_of_its_expiry_even_if_trusted(
    state: Engine, clock: FixedClock
) -> None:
    ring = KeyRing(state, SECRETS, clock, timedelta(hours=1))
    key = made(state, lifetime=timedelta(minutes=1)).key
    assert ring.holder(key, "ingest").name == "shop"
    clock.pass_by(timedelta(minutes=1))
    assert ring.trusted(key, "ingest") is None
    with pytest.raises(UnauthenticatedError):
        ring.holder(key, "ingest")


def test_a_revoked_key_is_trusted_for_no_longer_than_said(state: Engine, clock: FixedClock) -> None:
    ring = KeyRing(state, SECRETS, clock, TRUST)
    new = made(state)
    ring.holder(new.key, "ingest")
    with session_of(state) as session:
        revoke_key(session, new.record.id, NOON)
    assert ring.trusted(new.key, "ingest") is None or clock() == NOON
    clock.pass_by(TRUST)
    with pytest.raises(UnauthenticatedError):
        ring.holder(new.key, "ingest")


@pytest.mark.parametrize(
    "key", ["", "x", "candor_", "candor_1_", "other_1_2", "candor_1_2", "candor_\0_2"]
)
def test_what_is_no_key_is_refused(state: Engine, clock: FixedClock, key: str) -> None:
    with pytest.raises(UnauthenticatedError):
        KeyRing(state, SECRETS, clock, TRUST).holder(key, "ingest")


def test_the_right_id_with_another_secret_is_no_key(state: Engine) -> None:
    new = made(state)
    with session_of(state) as session:
        assert find_key(session, SECRETS, new.key + "x") is None


def test_only_a_digest_of_the_key_is_stored(state: Engine) -> None:
    new = made(state)
    with session_of(state) as session:
        listed = all_keys(session)
        assert [one.id for one in listed] == [new.record.id]
        assert new.key.split("_", 2)[-1] not in repr(listed)


@pytest.mark.parametrize(
    ("name", "scopes", "lifetime"),
    [
        ("x", [], None),
        ("x", ["fly"], None),
        (" ", ["ingest"], None),
        ("x", ["ingest"], timedelta(0)),
    ],
)
def test_a_key_that_cannot_be_meant_is_not_made(
    state: Engine, name: str, scopes: list[str], lifetime: timedelta | None
) -> None:
    with session_of(state) as session, pytest.raises(InvalidInputError):
        create_key(session, SECRETS, name=name, scopes=scopes, at=NOON, lifetime=lifetime)


def test_revoking_twice_changes_nothing_and_an_unknown_id_is_said(state: Engine) -> None:
    new = made(state)
    with session_of(state) as session:
        first = revoke_key(session, new.record.id, NOON)
        assert revoke_key(session, new.record.id, NOON + TRUST) == first
        with pytest.raises(NotFoundError):
            revoke_key(session, "nobody", NOON)


def public(engine: Engine, scopes: list[str], terms: PublicTerms | None) -> NewKey:
    with session_of(engine) as session:
        return create_key(session, SECRETS, name="pages", scopes=scopes, at=NOON, public=terms)


def test_a_public_key_keeps_its_terms_with_origins_as_browsers_spell_them(state: Engine) -> None:
    origins = ("HTTPS://Shop.Example.org:443/", "http://127.0.0.1:8000", "http://[::1]:80")
    new = public(state, [PUBLIC_SCOPE], PublicTerms(origins, 60, requires_consent=True))
    with session_of(state) as session:
        found = find_key(session, SECRETS, new.key)
    assert found == new.record
    assert found is not None
    spelt = ("https://shop.example.org", "http://127.0.0.1:8000", "http://[::1]")
    assert found.public == PublicTerms(spelt, 60, requires_consent=True)


def test_a_public_key_opens_its_door_alone_and_no_other_key_opens_that(
    state: Engine, clock: FixedClock
) -> None:
    ring = KeyRing(state, SECRETS, clock, TRUST)
    key = public(state, [PUBLIC_SCOPE], PublicTerms(("https://shop.example.org",))).key
    assert ring.holder(key, PUBLIC_SCOPE).name == "pages"
    with pytest.raises(ForbiddenError):
        ring.holder(key, "ingest")
    for scope in ("admin", "ingest"):
        with pytest.raises(ForbiddenError):
            ring.holder(made(state, scope).key, PUBLIC_SCOPE)


@pytest.mark.parametrize(
    ("scopes", "terms"),
    [
        ([PUBLIC_SCOPE], None),
        ([PUBLIC_SCOPE], PublicTerms(())),
        ([PUBLIC_SCOPE, "ingest"], PublicTerms(("https://shop.example.org",))),
        (["ingest"], PublicTerms(("https://shop.example.org",))),
        ([PUBLIC_SCOPE], PublicTerms(("https://shop.example.org",), 0)),
        *(
            ([PUBLIC_SCOPE], PublicTerms((origin,)))
            for origin in (
                *("*", "null", "", "shop.example.org", "ftp://shop.example.org", "https://"),
                *("https://*.example.org", "https://shop.example.org/cart", "https://a b"),
                *("https://user@shop.example.org", "https://shop.example.org?x", "https://ü.org"),
            )
        ),
        ([PUBLIC_SCOPE], PublicTerms(tuple(f"https://shop-{n}.example.org" for n in range(200)))),
    ],
)
def test_a_public_key_that_is_bound_to_nothing_is_not_made(
    sqlite: Engine, scopes: list[str], terms: PublicTerms | None
) -> None:
    with pytest.raises(InvalidInputError):
        public(sqlite, scopes, terms)
