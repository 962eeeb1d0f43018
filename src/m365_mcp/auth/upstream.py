"""The sign-in side of the token endpoint, in the shape FastMCP's OAuth proxy wants its upstream client to have.

`OAuthProxy._create_upstream_oauth_client` is FastMCP 4.2's documented seam: any object with `fetch_token`,
`refresh_token`, `client_secret` and `aclose` will do; refreshing is `refresher`'s work here, so that one never runs.
"""

from __future__ import annotations

from typing import Any

from m365_mcp.auth import callbacks
from m365_mcp.auth.callbacks import SecondRound, SecondRoundNeeded
from m365_mcp.auth.step_up import StepUps
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.entra.verifier import NOT_YET_VALID, OTHER_TENANT, EntraTokenVerifier, is_version_one
from m365_mcp.errors import AppRegistrationMistake, M365Error, PersonNotAllowed, TokenVersionMistake
from m365_mcp.errors.request_error import recorded
from m365_mcp.person import PersonId


class UpstreamClient:
    """Redeems Entra's codes for the OAuth proxy."""

    def __init__(self, endpoint: TokenEndpoint, verifier: EntraTokenVerifier, step_ups: StepUps) -> None:
        self._endpoint = endpoint
        self._verifier = verifier
        self._step_ups = step_ups
        self.client_secret = None  # asked for only when tokens are revoked upstream, which Entra has no endpoint for

    @recorded
    async def fetch_token(self, url: str, **form: Any) -> dict[str, Any]:
        """Redeem an authorization code.

        Raises:
            TokenVersionMistake: the registration issues version 1 tokens, which no later step would accept.
            AppRegistrationMistake: the token would be refused later for another reason.
            PersonNotAllowed: the person's tenant is not one of those that may come.
            SecondRoundNeeded: Microsoft wants more of this person, and `callbacks.current` says what.
            M365Error: what Entra's refusal means.
        """
        fields = {name: str(value) for name, value in form.items() if value}
        token = await self._endpoint.request({"grant_type": "authorization_code", **fields}, repeatable=False)
        if is_version_one(token["access_token"]):
            raise TokenVersionMistake
        claims, rejection_reason = await self._verifier.verify(token["access_token"])
        if rejection_reason:
            # Better a page now than a client that is refused for ever with a token it has just been given.
            raise _explain(rejection_reason)
        await self._ask_for_more(claims)
        return token

    async def _ask_for_more(self, claims: dict[str, Any]) -> None:
        callback = callbacks.current.get()
        person = PersonId(str(claims.get("tid", "")), str(claims.get("oid") or claims["sub"]))
        asked = await self._step_ups.take(person)
        if asked is not None and callback is not None:
            callback.second_round = SecondRound(asked, str(claims.get("preferred_username", "")))
            raise SecondRoundNeeded

    async def aclose(self) -> None:
        """Do nothing: the HTTP client is shared and outlives the request."""


def _explain(rejection_reason: str) -> M365Error:
    sentence = f"Entra ID's token does not fit this server: {rejection_reason}."
    if rejection_reason == OTHER_TENANT:
        return PersonNotAllowed(
            "Accounts of your organisation may not use this server.",
            advice="Sign in with another account; or the operator adds the tenant's id to AZURE_ALLOWED_TENANTS.",
        )
    if rejection_reason == NOT_YET_VALID:
        return AppRegistrationMistake(sentence, advice="The clock of this server is slow; set it (NTP), then retry.")
    return AppRegistrationMistake(sentence)
