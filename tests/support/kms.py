"""AWS KMS on the loopback, as far as Encrypt and Decrypt go; who asks it is the real client.

Source: AWS KMS API reference: JSON 1.1, the target in a header, blobs in base64, and a ciphertext
that opens under its own key and encryption context alone.
"""

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

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

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            target = self.headers["x-amz-target"].removeprefix("TrentService.")
            assert self.headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
            try:
                self._send(200, service.answer(target, body))
            except KmsError as error:
                self._send(400, {"__type": str(error), "message": "secret detail"})

        def _send(self, status: int, document: dict[str, Any]) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it so
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
