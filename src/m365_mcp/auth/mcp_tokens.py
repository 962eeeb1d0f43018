"""The tokens of MCP clients: signed references to a session, without personal data.

Sources: RFC 7519, RFC 9068 (claims of an access token), RFC 8707 (audience). Several keys allow rotation: the first
signs, all are accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jwt
from fastmcp.server.auth import AccessToken
from mcp.shared.auth import OAuthToken

from m365_mcp.auth.session import Session, TokenPair

ALGORITHM = "HS256"
LEEWAY_SECONDS = 60
REFRESH_SECONDS = 90 * 24 * 3600  # as long as Entra keeps an unused refresh token

Use = Literal["access", "refresh"]


@dataclass(frozen=True)
class Reference:
    """The content of a valid token.

    Attributes:
        session_id: the session that the token belongs to.
        number: the number of its token pair.
        client_id: the MCP client that it was issued to.
        expires_at: epoch seconds.
    """

    session_id: str
    number: int
    client_id: str
    expires_at: int


class RememberedAccess(AccessToken):
    """What an access token stands for, from a session that was read for an earlier request; see `verified_sessions`."""


@dataclass(frozen=True)
class McpTokens:
    """Issues and reads tokens.

    Attributes:
        keys: HS256 keys; the first signs, all are accepted.
        issuer: this authorization server.
        audience: the MCP endpoint, the only resource that accepts the tokens.
        access_seconds: lifetime of an access token.
    """

    keys: tuple[bytes, ...]
    issuer: str
    audience: str
    access_seconds: int

    def issue(self, session: Session, pair: TokenPair) -> OAuthToken:
        """Return a pair of tokens; the same session and number always give identical tokens."""
        return OAuthToken(
            access_token=self._sign(session, pair, "access", self.access_seconds),
            token_type="Bearer",  # noqa: S106 - a constant of the protocol
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
        """Return what `token` refers to, or None when it is not valid (use None: either kind of token)."""
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


def assertion_of(session: Session, expires_at: int) -> AccessToken:
    """Return what FastMCP learns from our access token: the person, and the assertion for the On-Behalf-Of exchange.

    It stays in this process; the client has the token alone.
    """
    claims = {
        "tid": session.tenant_id,
        "oid": session.object_id,
        "sub": session.subject,
        "session": session.id,
        "preferred_username": session.sign_in_name,
        "groups": session.told_groups,
        "client_name": session.client_name,
    }
    return AccessToken(
        token=session.upstream.access_token,
        client_id=session.client_id,
        scopes=list(session.scopes),
        expires_at=expires_at,
        subject=session.subject,
        claims=claims,
    )
