"""Verifies that an access token of Entra ID is valid and is for this server.

Source: "Access tokens in the Microsoft identity platform" and "Access token claims reference".
FastMCP 4.2's own verifier does not check `iat`, `tid` and app-only tokens, and allows no clock skew for `exp`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jwt

from m365_mcp import logs
from m365_mcp.entra.signing_keys import SigningKeys
from m365_mcp.errors import EntraUnavailable

LEEWAY_SECONDS = 60
OTHER_TENANT = "another tenant"
NOT_YET_VALID = "not yet valid"
_log = logs.get(__name__)


@dataclass(frozen=True)
class TokenRequirements:
    """The required claims of a token.

    Attributes:
        authority: Entra's address; the issuer is `{authority}/{tid}/v2.0`.
        audiences: the client id, which version 2 tokens carry, and the Application ID URI.
        tenants: the tenants (`tid`) whose people may sign in.
        scope: the short scope name that `scp` must contain.
    """

    authority: str
    audiences: tuple[str, ...]
    tenants: tuple[str, ...]
    scope: str


class EntraTokenVerifier:
    """Verifies version 2 access tokens of the expected tenants for one scope.

    Args:
        expected: the required claims.
        keys: Entra's signing keys.
    """

    def __init__(self, expected: TokenRequirements, keys: SigningKeys) -> None:
        self._expected = expected
        self._keys = keys

    async def verify(self, token: str) -> tuple[dict[str, Any], str | None]:
        """Return the token's claims, and a short reason to reject it (None: the token is valid).

        Raises:
            EntraUnavailable: the signing key is not cached and cannot be fetched now.
        """
        claims, reason = await self._signed_claims(token)
        return claims, reason or self._rejection_reason(claims)

    async def verify_id_token(self, token: str, nonce: str) -> tuple[dict[str, Any], str | None]:
        """Return the claims of an ID token, and a short reason to reject it (OpenID Connect Core section 3.1.3.7).

        Raises:
            EntraUnavailable: see `verify`.
        """
        claims, reason = await self._signed_claims(token)
        if reason is None and claims.get("nonce") != nonce:
            reason = "another nonce"
        return claims, reason or self._issuer_rejection(claims)

    async def _signed_claims(self, token: str) -> tuple[dict[str, Any], str | None]:
        """Return the claims of a token whose signature, audience and times are good, else a reason to reject it."""
        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                return {}, "unknown signing key"
            return self._decode(token, key), None
        except jwt.PyJWTError as error:
            return {}, _REASONS.get(type(error).__name__, "not a token of Entra ID")

    async def rejection_reason_of_received(self, token: str) -> str | None:
        """Return a short reason to reject a token that Entra's token endpoint has just returned, or None.

        If its signing key cannot be fetched, the TLS connection to Entra replaces the signature (OpenID Connect Core
        section 3.1.3.7, rule 6), and the verifier checks only the claims.
        """
        try:
            return (await self.verify(token))[1]
        except EntraUnavailable:
            _log.warning("token_accepted_without_signing_key")
        try:
            return self._rejection_reason(_unverified(token))
        except jwt.PyJWTError:
            return "not a token of Entra ID"

    def _decode(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.key,
            algorithms=["RS256"],
            audience=list(self._expected.audiences),
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )

    def _rejection_reason(self, claims: dict[str, Any]) -> str | None:
        if claims.get("ver", "2.0") != "2.0":
            return "not a version 2 token"
        rejection = self._issuer_rejection(claims)
        if rejection is not None:
            return rejection
        if claims.get("idtyp") == "app":
            return "an app-only token"
        if self._expected.scope not in str(claims.get("scp", "")).split():
            return "scope missing"
        # Without both claims the person has no id, and two people would share their records.
        return None if claims.get("oid") or claims.get("sub") else "no person (oid or sub)"

    def _issuer_rejection(self, claims: dict[str, Any]) -> str | None:
        expected = self._expected
        # Simulators of Entra may leave `tid` out; the issuer holds the same tenant id.
        tenant = claims.get("tid") or str(claims.get("iss")).removeprefix(f"{expected.authority}/").partition("/")[0]
        if tenant not in expected.tenants:
            return OTHER_TENANT
        if claims.get("iss") != f"{expected.authority}/{tenant}/v2.0":
            return "another issuer"
        return None


_REASONS = {
    "InvalidAudienceError": "another audience",
    "ExpiredSignatureError": "expired",
    "ImmatureSignatureError": NOT_YET_VALID,
    "InvalidSignatureError": "wrong signature",
    "MissingRequiredClaimError": "a claim is missing",
}


def is_version_one(token: str) -> bool:
    """Return whether an access token has version 1, without verification; for the advice on the sign-in page."""
    try:
        return _unverified(token).get("ver") == "1.0"
    except jwt.PyJWTError:
        return False


def _unverified(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims
