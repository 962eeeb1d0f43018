"""An authenticator in software, which signs whatever a test tells it to: also what no real one would."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, encode_cbor

from tests.inprocess import SERVER

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class Authenticator:
    """One passkey with its private key."""

    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    count: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    handle: str | None = None

    def create(self, options: dict[str, Any], *, flags: int = PRESENT | VERIFIED, **client_data: Any) -> str:
        """Return the answer to `navigator.credentials.create`."""
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        credential = b"\0" * 16 + len(self.id).to_bytes(2, "big") + self.id + encode_cbor(cose)
        data = self._data(options["rp"]["id"], flags | ATTESTED) + credential
        attested = encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        self.handle = options["user"]["id"]
        found = {"attestationObject": bytes_to_base64url(attested), "transports": ["internal", "unheard-of"]}
        return self._answer({**found, "clientDataJSON": _client_data("webauthn.create", options, client_data)})

    def get(
        self, options: dict[str, Any], *, rp_id: str = "", flags: int = PRESENT | VERIFIED, **client_data: Any
    ) -> str:
        """Return the answer to `navigator.credentials.get`.

        Args:
            options: what the server asks.
            rp_id: the RP ID, if it is not that of the options.
            flags: the flags of the authenticator data.
            client_data: members of the client data that differ.
        """
        self.count += 1
        data, asked = self._data(rp_id or options["rpId"], flags), _client_data("webauthn.get", options, client_data)
        signature = self.sign(data + hashlib.sha256(base64url_to_bytes(asked)).digest())
        found = {"authenticatorData": bytes_to_base64url(data), "signature": signature, "clientDataJSON": asked}
        return self._answer({**found, **({"userHandle": self.handle} if self.handle else {})})

    def sign(self, data: bytes) -> str:
        """Return the signature of the private key."""
        return bytes_to_base64url(self.key.sign(data, ec.ECDSA(hashes.SHA256())))

    def _data(self, rp_id: str, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _answer(self, response: dict[str, Any]) -> str:
        name = bytes_to_base64url(self.id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def changed(answer: str, **members: Any) -> str:
    """Return an answer whose client data was changed after the authenticator has signed it."""
    found = json.loads(answer)
    client_data = json.loads(base64url_to_bytes(found["response"]["clientDataJSON"]))
    found["response"]["clientDataJSON"] = bytes_to_base64url(json.dumps({**client_data, **members}).encode())
    return json.dumps(found)


def _client_data(kind: str, options: dict[str, Any], changes: dict[str, Any]) -> str:
    found = {"type": kind, "challenge": options["challenge"], "origin": SERVER, "crossOrigin": False, **changes}
    return bytes_to_base64url(json.dumps(found).encode())
