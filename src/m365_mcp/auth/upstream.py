"""The client that redeems Entra's authorization codes, with the interface that FastMCP's OAuth proxy expects.

FastMCP 4.2 documents `OAuthProxy._create_upstream_oauth_client`: it may return any object with `fetch_token`,
`refresh_token`, `client_secret` and `aclose`. `SessionRefresher` refreshes tokens here, so `refresh_token` is missing.
"""

from __future__ import annotations

from typing import Any

from m365_mcp.auth import callbacks, sign_in_events
from m365_mcp.auth.callbacks import SecondRound, SecondRoundNeeded
from m365_mcp.auth.sign_in_records import with_sign_in
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
        self.client_secret = None  # used only to revoke tokens upstream, and Entra has no endpoint for that

    @recorded
    async def fetch_token(self, url: str, **form: Any) -> dict[str, Any]:
        """Redeem an authorization code.

        Raises:
            TokenVersionMistake: the app registration issues version 1 tokens, which later steps would refuse.
            AppRegistrationMistake: later steps would refuse the token for another reason.
            PersonNotAllowed: the person's tenant is not allowed.
            SecondRoundNeeded: Microsoft requires more proof of this person; `callbacks.current` has the claims.
            M365Error: the meaning of Entra's refusal.
        """
        fields = {name: str(value) for name, value in form.items() if value}
        token = await self._endpoint.request({"grant_type": "authorization_code", **fields}, repeatable=False)
        if is_version_one(token["access_token"]):
            raise TokenVersionMistake
        claims, rejection_reason = await self._verifier.verify(token["access_token"])
        if rejection_reason:
            # An error page now is better than a client whose new token is always refused.
            raise _explain(rejection_reason)
        await self._require_step_up(claims)
        return with_sign_in(token, sign_in_events.current())

    async def _require_step_up(self, claims: dict[str, Any]) -> None:
        callback = callbacks.current.get()
        person = PersonId(str(claims.get("tid", "")), str(claims.get("oid") or claims["sub"]))
        challenge = await self._step_ups.take(person)
        if challenge is not None and callback is not None:
            callback.second_round = SecondRound(challenge, str(claims.get("preferred_username", "")))
            raise SecondRoundNeeded

    async def aclose(self) -> None:
        """Do nothing: all requests share the HTTP client."""


def _explain(rejection_reason: str) -> M365Error:
    sentence = f"Entra ID's token is not valid for this server: {rejection_reason}."
    if rejection_reason == OTHER_TENANT:
        refusal = PersonNotAllowed(
            "Accounts of your organisation may not use this server.",
            advice="Sign in with another account; or the operator adds the tenant's id to AZURE_ALLOWED_TENANTS.",
        )
        refusal.for_person = "If you have an account of another organisation, connect again with that one."
        refusal.for_administrator = "Add the tenant's id to AZURE_ALLOWED_TENANTS, if its people may use this server."
        return refusal
    if rejection_reason == NOT_YET_VALID:
        return AppRegistrationMistake(sentence, advice="The clock of this server is slow; set it (NTP), then retry.")
    return AppRegistrationMistake(sentence)
