"""Decides whether an access token of Entra ID is meant for this server and still good.

Source: "Access tokens in the Microsoft identity platform" and "Access token claims reference".
FastMCP 4.1's own verifier does not look at `nbf`, `iat`, `tid` and app-only tokens, and allows no clock skew.
May know `errors`, `entra.signing_keys`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from fastmcp.server.auth import AccessToken, TokenVerifier

from m365_mcp import logs
from m365_mcp.entra.signing_keys import SigningKeys

LEEWAY_SECONDS = 60
_log = logs.get(__name__)


@dataclass(frozen=True)
class Expected:
    """What a good token says.

    Attributes:
        issuer: `https://{authority}/{tenant}/v2.0`.
        audiences: the client id, which version 2 tokens carry, and the Application ID URI.
        tenant_id: the tenant (`tid`).
        scope: the short scope name that must stand in `scp`.
    """

    issuer: str
    audiences: tuple[str, ...]
    tenant_id: str
    scope: str


class EntraTokenVerifier(TokenVerifier):
    """Verifies version 2 access tokens of one tenant for one scope.

    Args:
        expected: what a good token says.
        keys: Entra's signing keys.
        is_ended: tells whether Entra has meanwhile said that this token's sign-in is over.
    """

    def __init__(
        self, expected: Expected, keys: SigningKeys, is_ended: Callable[[str], bool] = lambda _: False
    ) -> None:
        super().__init__(required_scopes=[expected.scope])
        self._is_ended = is_ended
        self._expected = expected
        self._keys = keys

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what the token grants, or None when it is not good.

        Raises:
            EntraUnavailable: the signing key is not at hand and cannot be fetched now.
        """
        claims, objection = await self.examine(token)
        if objection or self._is_ended(token):
            _log.info("upstream_token_refused", reason=objection or "sign-in ended")
            return None
        return AccessToken(
            token=token,
            client_id=str(claims.get("azp") or claims.get("aud")),
            scopes=str(claims["scp"]).split(),
            expires_at=int(claims["exp"]),
            subject=claims.get("sub"),
            claims=claims,
        )

    async def examine(self, token: str) -> tuple[dict[str, Any], str | None]:
        """Return the token's claims, and what is wrong with it in a few words (None: nothing).

        Raises:
            EntraUnavailable: the signing key is not at hand and cannot be fetched now.
        """
        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                return {}, "unknown signing key"
            claims = self._decode(token, key)
        except jwt.PyJWTError as error:
            return {}, _REASONS.get(type(error).__name__, "not a token of Entra ID")
        return claims, self._objection(claims)

    def _decode(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.key,
            algorithms=["RS256"],
            audience=list(self._expected.audiences),
            issuer=self._expected.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )

    def _objection(self, claims: dict[str, Any]) -> str | None:
        if claims.get("ver", "2.0") != "2.0":
            return "not a version 2 token"
        if claims.get("tid", self._expected.tenant_id) != self._expected.tenant_id:
            return "another tenant"
        if claims.get("idtyp") == "app":
            return "an app-only token"
        if self._expected.scope not in str(claims.get("scp", "")).split():
            return "scope missing"
        # Without either the person has no name, and what is remembered for one would be found by another.
        return None if claims.get("oid") or claims.get("sub") else "no person (oid or sub)"


_REASONS = {
    "InvalidIssuerError": "another issuer",
    "InvalidAudienceError": "another audience",
    "ExpiredSignatureError": "expired",
    "ImmatureSignatureError": "not yet valid",
    "InvalidSignatureError": "wrong signature",
    "MissingRequiredClaimError": "a claim is missing",
}


def is_version_one(token: str) -> bool:
    """Return whether an access token is of version 1, without verifying it (for the sign-in page's advice)."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return False
    return claims.get("ver") == "1.0"
