"""Lets each assertion of a client (`private_key_jwt`, RFC 7523) count once, over all replicas."""

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

    async def use(self, client_id: str, assertion: Assertion) -> None:
        """Count the assertion.

        Raises:
            ValueError: it was used before.
            StorageUnavailable: the store did not respond.
        """
        key = hashlib.sha256(f"{client_id} {assertion.id}".encode("utf-8", "surrogatepass")).hexdigest()
        seconds = max(1.0, assertion.ends_at - self.clock()) + _SKEW_SECONDS
        if await self.records.compare_and_swap(_COLLECTION, key, ABSENT, {}, seconds) is None:
            raise ValueError("the assertion was used before")


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
