"""The endpoint that Entra sends the browser back to: only its own browser, once, and a few times without success."""

from __future__ import annotations

from fastmcp.server.auth.redirect_validation import build_client_redirect
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from m365_mcp.auth.callbacks import Callbacks, SecondRound, explain_refusal, refusal_code
from m365_mcp.auth.consent_endpoint import ConsentEndpoint
from m365_mcp.errors import SignInAlreadyDone
from m365_mcp.errors.request_error import noted, recorded


class CallbackEndpoint(ConsentEndpoint):
    """FastMCP's proxy with a callback that is claimed, and whose refusals are explained in our words."""

    _callbacks: Callbacks
    _consent_url: str

    @recorded
    async def _handle_idp_callback(self, request: Request) -> HTMLResponse | RedirectResponse:
        """Handle Entra's callback; a refusal is explained in our words, never with the text in the URL."""
        request = explain_refusal(request, self._consent_url)
        state = request.query_params.get("state")
        if state is None or "code" not in request.query_params:
            return await super()._handle_idp_callback(request)
        if not await self._has_consent(request, state):
            if await self._callbacks.is_claimed(state):
                raise SignInAlreadyDone
            return await super()._handle_idp_callback(request)  # refuses, and asks Entra nothing
        async with self._callbacks.claim_callback(state) as callback:
            if callback is None:
                raise SignInAlreadyDone
            response = await super()._handle_idp_callback(request)
            if callback.second_round is not None:
                return await self._start_second_round(state, callback.second_round)
            callback.is_done = response.status_code < 400
            if not callback.is_done:
                await self._offer_return(state)
            return response

    async def _offer_return(self, state: str) -> None:
        """Note on the error of this request where the browser tells the client of it, so that the client need not wait.

        The page stays, because the person can read it and try again; only the person leaves it.
        """
        error, transaction = noted(), await self._transaction_store.get(key=state)
        if error is None or transaction is None:
            return
        uri = transaction.client_redirect_uri
        if self._validate_client_redirect_uri(uri):
            told = {"error": refusal_code(error), "error_description": error.explain()}
            told |= {"state": transaction.client_state or ""}
            error.client_url = build_client_redirect(uri, told, iss=str(self.issuer_url))

    async def _has_consent(self, request: Request, state: str) -> bool:
        """Return whether the sign-in runs, and was approved in this browser."""
        transaction = await self._transaction_store.get(key=state)
        token = None if transaction is None else transaction.consent_token
        return bool(token) and self._verify_consent_binding_cookie(request, state, str(token))

    async def _start_second_round(self, state: str, second_round: SecondRound) -> RedirectResponse:
        """Redirect the browser to Entra a second time in the same sign-in, with the claims challenge."""
        transaction = await self._transaction_store.get(key=state)
        address = self._build_upstream_authorize_url(state, transaction.model_dump() if transaction else {})
        return RedirectResponse(second_round.address(address), 302)
