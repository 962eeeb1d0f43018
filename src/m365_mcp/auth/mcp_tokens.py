"""The tokens handed to MCP clients: references to a session, signed, without anything personal in them.

Sources: RFC 7519, RFC 9068 (what an access token says), RFC 8707 (audience). Several keys allow rotation: the first
signs, all are accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jwt
from mcp.shared.auth import OAuthToken

from m365_mcp.auth.session import Session, TokenPair

ALGORITHM = "HS256"
LEEWAY_SECONDS = 60
REFRESH_SECONDS = 90 * 24 * 3600  # as long as Entra keeps an unused refresh token

Use = Literal["access", "refresh"]


@dataclass(frozen=True)
class Reference:
    """What a good token says.

    Attributes:
        session_id: the session it belongs to.
        number: the pair it belongs to.
        client_id: the MCP client it was handed to.
        expires_at: epoch seconds.
    """

    session_id: str
    number: int
    client_id: str
    expires_at: int


@dataclass(frozen=True)
class McpTokens:
    """Makes and reads tokens.

    Attributes:
        keys: HS256 keys; the first signs, all are accepted.
        issuer: this authorization server.
        audience: the MCP endpoint, the only place the tokens are good for.
        access_seconds: how long an access token lives.
    """

    keys: tuple[bytes, ...]
    issuer: str
    audience: str
    access_seconds: int

    def issue(self, session: Session, pair: TokenPair) -> OAuthToken:
        """Return a pair of tokens; the same session and number give the same pair to the letter."""
        return OAuthToken(
            access_token=self._sign(session, pair, "access", self.access_seconds),
            token_type="Bearer",  # noqa: S106 - a word of the protocol
            expires_in=self.access_seconds,
            refresh_token=self._sign(session, pair, "refresh", REFRESH_SECONDS),
            scope=" ".join(session.scopes),
        )

    def _sign(self, session: Session, pair: TokenPair, use: Use, seconds: int) -> str:
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "client_id": session.client_id,
            "scope": " ".join(session.scopes),
            "iat": pair.at,
            "exp": pair.at + seconds,
            "jti": f"{session.id}.{pair.number}",
            "token_use": use,
        }
        return jwt.encode(claims, self.keys[0], ALGORITHM)

    def read(self, token: str, use: Use | None) -> Reference | None:
        """Return what `token` refers to, or None when it is not a good one of ours (use None: of either kind)."""
        for key in self.keys:
            claims = self._verified(token, key)
            if claims is not None and use in (None, claims.get("token_use")):
                session_id, _, number = str(claims["jti"]).rpartition(".")
                return Reference(session_id, int(number), str(claims["client_id"]), int(claims["exp"]))
        return None

    def _verified(self, token: str, key: bytes) -> dict[str, Any] | None:
        required = ["exp", "iat", "jti", "client_id", "iss", "aud"]
        try:
            found: dict[str, Any] = jwt.decode(
                token,
                key,
                [ALGORITHM],
                {"require": required},
                audience=self.audience,
                issuer=self.issuer,
                leeway=LEEWAY_SECONDS,
            )
        except jwt.PyJWTError:
            return None
        return found
