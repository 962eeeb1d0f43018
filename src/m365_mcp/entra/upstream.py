"""The sign-in side of the token endpoint, in the shape FastMCP's OAuth proxy wants its upstream client to have.

`OAuthProxy._create_upstream_oauth_client` is FastMCP 4.1's documented seam: any object with `fetch_token`,
`refresh_token`, `client_secret` and `aclose` will do. May know `errors`, `trouble`, `entra.*`.
"""

from __future__ import annotations

from typing import Any

from fastmcp.server.auth.oauth_proxy.upstream import OAuthError

from m365_mcp import trouble
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.entra.verifier import EntraTokenVerifier, is_version_one
from m365_mcp.errors import SignInNeeded
from m365_mcp.refusals import AppRegistrationMistake, ConsentMissing, PersonNotAllowed, TokenVersionMistake


class UpstreamClient:
    """Redeems codes and refresh tokens at Entra ID for one request of the OAuth proxy."""

    def __init__(self, endpoint: TokenEndpoint, verifier: EntraTokenVerifier) -> None:
        self._endpoint = endpoint
        self._verifier = verifier
        self.client_secret = None  # asked for only when tokens are revoked upstream, which Entra has no endpoint for

    async def fetch_token(self, url: str, **form: Any) -> dict[str, Any]:
        """Redeem an authorization code.

        Raises:
            TokenVersionMistake: the registration issues version 1 tokens, which no later step would accept.
            AppRegistrationMistake: the token would be refused later for another reason.
            M365Error: what Entra's refusal means.
        """
        fields = {name: str(value) for name, value in form.items() if value}
        token = await self._endpoint.request({"grant_type": "authorization_code", **fields}, repeatable=False)
        if is_version_one(token["access_token"]):
            raise trouble.record(TokenVersionMistake())
        _, objection = await self._verifier.examine(token["access_token"])
        if objection:
            # Better a page now than a client that is refused for ever with a token it has just been given.
            raise trouble.record(AppRegistrationMistake(f"Entra ID's token does not fit this server: {objection}."))
        return token

    async def refresh_token(self, url: str, *, refresh_token: str | None = None, **form: Any) -> dict[str, Any]:
        """Redeem a refresh token; the old one is handed back when Entra gives no new one.

        Raises:
            OAuthError: `invalid_grant`, when only a new sign-in can help.
            M365Error: any other refusal.
        """
        fields = {name: str(value) for name, value in form.items() if value}
        fields["refresh_token"] = refresh_token or ""
        try:
            token = await self._endpoint.request({"grant_type": "refresh_token", **fields}, repeatable=True)
        except (SignInNeeded, ConsentMissing, PersonNotAllowed) as error:
            trouble.forget()  # the framework's own answer, invalid_grant, is the right one here
            raise OAuthError(error="invalid_grant", description=error.sentence) from error
        return {"refresh_token": refresh_token, **token}

    async def aclose(self) -> None:
        """Do nothing: the HTTP client is shared and outlives the request."""
