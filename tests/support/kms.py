"""AWS KMS on the loopback, as far as Encrypt and Decrypt go; who asks it is the real client.

Source: AWS KMS API reference: JSON 1.1, the target in a header, blobs in base64, and a ciphertext
that opens under its own key and encryption context alone.
"""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support.loopback import Received, Reply, answering

KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER_KEY = KEY.replace("1234abcd", "abcd1234")
_KEY_LENGTH = len(KEY)


class KmsError(Exception):
    """An error in the words of KMS."""


@dataclass
class Kms:
    """The service: its keys, what it was asked, and an error to answer with while there is one."""

    url: str = ""
    keys: dict[str, bytes] = field(
        default_factory=lambda: {one: os.urandom(32) for one in (KEY, OTHER_KEY)}
    )
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    error: str = ""

    def answer(self, action: str, asked: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((action, asked))
        if self.error:
            raise KmsError(self.error)
        if asked["KeyId"] not in self.keys:
            raise KmsError("NotFoundException")
        bound = json.dumps(asked.get("EncryptionContext", {}), sort_keys=True).encode()
        if action == "Encrypt":
            plain = base64.b64decode(asked["Plaintext"])
            blob = self._encrypt(asked["KeyId"], plain, bound)
            return {"CiphertextBlob": base64.b64encode(blob).decode(), "KeyId": asked["KeyId"]}
        plain = self._decrypt(asked["KeyId"], base64.b64decode(asked["CiphertextBlob"]), bound)
        return {"Plaintext": base64.b64encode(plain).decode(), "KeyId": asked["KeyId"]}

    def _encrypt(self, key: str, plain: bytes, bound: bytes) -> bytes:
        nonce = os.urandom(12)
        return key.encode() + nonce + AESGCM(self.keys[key]).encrypt(nonce, plain, bound)

    def _decrypt(self, key: str, blob: bytes, bound: bytes) -> bytes:
        owner, rest = blob[:_KEY_LENGTH].decode(errors="replace"), blob[_KEY_LENGTH:]
        if owner not in self.keys:
            raise KmsError("InvalidCiphertextException")
        if owner != key:
            raise KmsError("IncorrectKeyException")
        try:
            return AESGCM(self.keys[key]).decrypt(rest[:12], rest[12:], bound)
        except InvalidTag:
            raise KmsError("InvalidCiphertextException") from None


@contextmanager
def kms() -> Iterator[Kms]:
    service = Kms()

    def reply(received: Received) -> Reply:
        target = received.headers["x-amz-target"].removeprefix("TrentService.")
        assert received.headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
        try:
            return _reply(200, service.answer(target, received.json()))
        except KmsError as error:
            return _reply(400, {"__type": str(error), "message": "secret detail"})

    with answering(reply) as service.url:
        yield service


def _reply(status: int, document: dict[str, Any]) -> Reply:
    content = json.dumps(document).encode()
    return Reply(status, content, {"content-type": "application/x-amz-json-1.1"})
