"""The root that AWS KMS keeps: the only way to boto3, an optional extra.

Source: AWS KMS API reference, Encrypt and Decrypt, with an encryption context: what was encrypted
with one is decrypted with the very same alone, and CloudTrail shows it.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from candor.kernel.errors import InvalidInputError, UnavailableError
from candor.kernel.vault_settings import VaultSettings

_SECONDS = 5
_NOT_THAT_KEY = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


class KmsClient(Protocol):
    """What is asked of KMS, in the words of boto3."""

    def encrypt(self, **asked: Any) -> Mapping[str, Any]:  # noqa: ANN401 - boto3 has no types
        """Take KeyId, Plaintext and EncryptionContext, and return CiphertextBlob."""

    def decrypt(self, **asked: Any) -> Mapping[str, Any]:  # noqa: ANN401 - as above
        """Take KeyId, CiphertextBlob and EncryptionContext, and return Plaintext."""


class KmsRoot:
    """A root whose key never leaves KMS."""

    def __init__(self, client: KmsClient, key: str) -> None:
        self._client = client
        self._key = key
        self.id = f"kms:{key}"

    def wrap(self, secret: bytearray, place: Mapping[str, str]) -> bytes:
        """Return a key as it may be stored."""
        try:
            answer = self._client.encrypt(
                KeyId=self._key, Plaintext=bytes(secret), EncryptionContext=dict(place)
            )
        except _failures() as error:
            raise _unavailable(error) from None
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, place: Mapping[str, str]) -> bytearray | None:
        """Return what was wrapped; none when it was wrapped by another, or for another place."""
        try:
            answer = self._client.decrypt(
                KeyId=self._key, CiphertextBlob=wrapped, EncryptionContext=dict(place)
            )
        except _failures() as error:
            if _code_of(error) in _NOT_THAT_KEY:
                return None
            raise _unavailable(error) from None
        return bytearray(answer["Plaintext"])


def open_kms(settings: VaultSettings, key: str) -> KmsRoot:
    """Return the root of a key; KMS is not asked yet.

    Credentials and region come from where boto3 finds them, unless the settings name a region.

    Raises:
        InvalidInputError: the extra is not installed, or no region is known.
    """
    try:
        import boto3  # noqa: PLC0415 - an optional extra
        from botocore.config import Config  # noqa: PLC0415 - as above
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - as above
    except ImportError:
        raise InvalidInputError(
            "CANDOR_VAULT__KMS_KEY needs boto3, which is not installed. Run:"
            " pip install 'candor[kms]'"
        ) from None
    timeouts = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"mode": "standard"})
    try:
        client = boto3.client(
            "kms",
            region_name=settings.kms_region,
            endpoint_url=settings.kms_endpoint,
            config=timeouts,
        )
    except BotoCoreError as error:
        raise InvalidInputError(
            f"KMS cannot be asked ({type(error).__name__}). Set CANDOR_VAULT__KMS_REGION."
        ) from None
    return KmsRoot(client, key)


def _failures() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

    return (BotoCoreError, ClientError)


def _code_of(error: Exception) -> str:
    response: Mapping[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def _unavailable(error: Exception) -> UnavailableError:
    return UnavailableError(
        f"AWS KMS does not answer as it should ({_code_of(error) or type(error).__name__}). Check"
        " that it can be reached, and that this process may use the key of CANDOR_VAULT__KMS_KEY."
    )
