"""Lets each assertion of a client (`private_key_jwt`, RFC 7523) count once, over all replicas.

Anybody can publish a metadata document and sign assertions with a key of their own. So authentication only looks
whether an assertion was used, and it is stored where a code, or a token of a session that lives, comes with it.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt

from m365_mcp.storage.records import ABSENT, Records

_COLLECTION = "m365-client-assertions"
_SKEW_SECONDS = 60.0  # FastMCP 4.2 accepts an assertion up to 30 seconds after its end
_MAX_JTI = 512  # characters
_USED = "the assertion was used before"


@dataclass(frozen=True)
class Assertion:
    """What an assertion says of itself: its id, when it ends (seconds since the epoch), and for whom it is."""

    id: str
    ends_at: float
    audience: str


def read_assertion(text: str) -> Assertion:
    """Return id, end and audience of an assertion whose signature is checked elsewhere.

    Raises:
        ValueError: a claim is missing or of the wrong type, for which FastMCP 4.2 has an error of its own only in part.
    """
    try:
        claims: dict[str, Any] = jwt.decode(text, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise ValueError("the assertion is no JWT") from None
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI:
        raise ValueError("jti must be a text")
    if not _is_time(claims.get("exp")) or not _is_time(claims.get("iat", 0)):
        raise ValueError("exp and iat must be numbers")
    audience = claims.get("aud")
    # Of several audiences, another one could use the assertion here (draft-ietf-oauth-rfc7523bis section 4).
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    if not isinstance(audience, str) or not audience:
        raise ValueError("aud must be one text")
    return Assertion(jti, float(claims["exp"]), audience)


@dataclass(frozen=True)
class UsedAssertions:
    """The assertions that clients have used."""

    records: Records
    clock: Callable[[], float] = time.time

    async def require_unused(self, client_id: str, assertion: Assertion) -> None:
        """Look whether the assertion was used, and store nothing.

        Raises:
            ValueError: it was used before.
            StorageUnavailable: the store did not respond.
        """
        if (await self.records.read(_COLLECTION, _key(client_id, assertion))).version is not None:
            raise ValueError(_USED)

    async def use(self, client_id: str, assertion: Assertion) -> None:
        """Count the assertion, whose client has shown a valid code or token.

        Raises:
            ValueError: it was used before.
            StorageUnavailable: the store did not respond.
        """
        seconds = max(1.0, assertion.ends_at - self.clock()) + _SKEW_SECONDS
        if await self.records.compare_and_swap(_COLLECTION, _key(client_id, assertion), ABSENT, {}, seconds) is None:
            raise ValueError(_USED)


def _key(client_id: str, assertion: Assertion) -> str:
    return hashlib.sha256(f"{client_id} {assertion.id}".encode("utf-8", "surrogatepass")).hexdigest()


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
