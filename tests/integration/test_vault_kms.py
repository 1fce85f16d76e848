"""The vault under a key of AWS KMS: the real client against a service on the loopback."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from candor.kernel.errors import InvalidInputError, UnavailableError
from candor.kernel.vault_settings import VaultSettings
from privacy.vault.kms import KmsRoot, open_kms
from privacy.vault.revealing import Sought
from privacy.vault.rotation import rotate
from tests.support.kms import KEY, OTHER_KEY, Kms, kms
from tests.support.stores import FixedClock
from tests.support.vault import ANNA, EMAIL, Replica, replica_on

PLACE = {"candor:installation": "00", "candor:key": "1"}


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)


@pytest.fixture
def service() -> Iterator[Kms]:
    with kms() as running:
        yield running


def root(service: Kms, key: str = KEY) -> KmsRoot:
    settings = VaultSettings(kms_key=key, kms_region="eu-central-1", kms_endpoint=service.url)
    return open_kms(settings, key)


def under_kms(engine: Engine, folder: Path, service: Kms) -> Replica:
    return replica_on(
        engine, folder, kms_key=KEY, kms_region="eu-central-1", kms_endpoint=service.url
    )


def test_a_key_comes_back_from_kms_in_its_place_alone(service: Kms) -> None:
    secret = bytearray(range(32))
    wrapped = root(service).wrap(secret, PLACE)
    assert bytes(secret) not in wrapped
    assert root(service).unwrap(wrapped, PLACE) == secret
    assert root(service).unwrap(wrapped, PLACE | {"candor:key": "2"}) is None
    assert root(service, OTHER_KEY).unwrap(wrapped, PLACE) is None
    assert service.asked[0][1]["EncryptionContext"] == PLACE


@pytest.mark.parametrize("code", ["AccessDeniedException", "DisabledException"])
def test_what_kms_refuses_is_told_by_its_code_alone(service: Kms, code: str) -> None:
    wrapped = root(service).wrap(bytearray(32), PLACE)
    service.error = code
    with pytest.raises(UnavailableError, match=code) as raised:
        root(service).wrap(bytearray(32), PLACE)
    assert "secret detail" not in str(raised.value)
    with pytest.raises(UnavailableError, match=code):
        root(service).unwrap(wrapped, PLACE)


def test_kms_without_a_region_is_refused_at_the_start() -> None:
    with pytest.raises(InvalidInputError, match="KMS_REGION"):
        open_kms(VaultSettings(kms_key=KEY), KEY)


def test_without_the_extra_the_setting_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(InvalidInputError, match=r"candor\[kms\]"):
        open_kms(VaultSettings(kms_key=KEY), KEY)


def test_events_never_wait_for_kms_once_a_generation_is_open(
    state: Engine, tmp_path: Path, service: Kms
) -> None:
    replica = under_kms(state, tmp_path, service)
    texts = replica.vault.encrypt(["x"], ANNA, EMAIL)
    assert [action for action, _ in service.asked] == ["Encrypt"]
    for number in range(5):
        replica.vault.encrypt(["x"], f"{number:064x}", EMAIL)
    asked = len(service.asked)
    assert asked <= 2
    service.error = "AccessDeniedException"
    replica.vault.encrypt(["x"], "f" * 64, EMAIL)
    with pytest.raises(UnavailableError, match="KMS"):
        under_kms(state, tmp_path, service).vault.encrypt(["x"], ANNA, EMAIL)
    service.error = ""
    assert replica.values(*[Sought(one, EMAIL) for one in texts]) == ["x"]


def test_keys_move_from_the_master_key_to_kms(state: Engine, tmp_path: Path, service: Kms) -> None:
    before = replica_on(state, tmp_path)
    texts = before.vault.encrypt(["x"], ANNA, EMAIL)
    after = under_kms(state, tmp_path, service)
    assert after.values(*[Sought(one, EMAIL) for one in texts]) == ["x"]
    done = rotate(after.desk.keys, state, FixedClock(), by="test")
    assert (done.root_id, done.rewrapped, done.deleted) == (f"kms:{KEY}", 1, 1)
    fresh = under_kms(state, tmp_path, service)
    assert fresh.values(*[Sought(one, EMAIL) for one in texts]) == ["x"]
    with pytest.raises(UnavailableError, match="KMS_KEY"):
        replica_on(state, tmp_path).vault.encrypt(["x"], ANNA, EMAIL)
