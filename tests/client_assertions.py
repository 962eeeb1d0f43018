"""A client of the tests that proves itself with a key of its own (`private_key_jwt`, RFC 7523)."""

from __future__ import annotations

import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

KEY = ec.generate_private_key(ec.SECP256R1())
JWK: dict[str, Any] = {**ECAlgorithm(ECAlgorithm.SHA256).to_jwk(KEY.public_key(), as_dict=True), "kid": "one"}
# What a metadata document says of such a client.
SIGNS: dict[str, Any] = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [JWK]}}


def proof(client_id: str, audience: str) -> dict[str, str]:
    """Return the fields of a form with a fresh assertion of the client."""
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "jti": uuid.uuid4().hex, "iat": now, "exp": now + 60}
    return {
        "client_id": client_id,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode(claims, KEY, "ES256", {"kid": "one"}),
    }
