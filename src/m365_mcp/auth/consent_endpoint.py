"""The consent endpoint: FastMCP's checks and cookies, our page, and the same response to a form that is sent twice."""

from __future__ import annotations

import hashlib
import hmac

from fastmcp.server.auth.oauth_proxy.consent import _consent_state_base_name
from fastmcp.server.auth.oauth_proxy.models import OAuthTransaction
from fastmcp.server.auth.providers.azure import AzureProvider
from fastmcp.server.auth.redirect_validation import build_client_redirect
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from m365_mcp.auth.client_metadata.hosts import is_client_id_url
from m365_mcp.auth.consent import CSRF_FIELD, ConsentPage, consent_request, hidden_fields, with_cookies
from m365_mcp.errors import ClientUnknown, Unavailable
from m365_mcp.errors.request_error import noted, recorded
from m365_mcp.storage.leases import Leases

TRANSACTION_SECONDS = 15 * 60  # as in FastMCP 4.2
WAIT_SECONDS = 10.0  # for the same form of the same sign-in; the lease of a dead replica lasts 4 seconds
_DENIED = "denied"  # in the place of a consent token; FastMCP's have 43 characters


class ConsentEndpoint(AzureProvider):
    """FastMCP's proxy with our consent page. FastMCP 4.2 offers no seam but these methods, which are private."""

    _consent_page: ConsentPage
    _leases: Leases
    _cookie_tag: str

    @recorded
    async def _show_consent_page(self, request: Request) -> Response:  # type: ignore[override]
        """Return our consent page; the CSRF token, its record and its cookies are those that FastMCP 4.2 has made.

        Raises:
            M365Error: the client is not known any more, or its document cannot be had now.
        """
        original = await super()._show_consent_page(request)
        fields = hidden_fields(original) if original.status_code == 200 else {}
        transaction = await self._transaction_store.get(key=request.query_params.get("txn_id", ""))
        if not fields or transaction is None:
            return original  # an error, which the error override replaces
        client = await self.get_client(transaction.client_id)
        if client is None:
            raise noted() or ClientUnknown()
        return with_cookies(self._consent_page(request, consent_request(client, transaction, fields)), original)

    @recorded
    async def _submit_consent(self, request: Request) -> Response:  # type: ignore[override]
        """Take a person's answer. The form sent again, as by a double click, gets the same redirect again.

        FastMCP 4.2 makes a consent token for each form, and the callback accepts the last one only. So one form of a
        sign-in is taken at a time, and the browser has the token of the first.

        Raises:
            ClientUnknown: the registration of the client has ended.
            Unavailable: another replica did not finish with the same sign-in.
        """
        form = await request.form()
        sign_in = str(form.get("txn_id", ""))
        transaction = await self._transaction_store.get(key=sign_in) if sign_in else None
        if transaction is None:
            return await super()._submit_consent(request)
        if not is_client_id_url(transaction.client_id) and await self.get_client(transaction.client_id) is None:
            raise ClientUnknown
        try:
            async with self._leases.hold(f"consent.{hashlib.sha256(sign_in.encode()).hexdigest()}", WAIT_SECONDS):
                response = await super()._submit_consent(request)
                if response.status_code >= 400:
                    response = await self._answer_again(request, sign_in) or response
        except TimeoutError as error:
            raise Unavailable from error
        if form.get("action") == "deny" and response.status_code < 400:
            self._set_consent_binding_cookie(response, sign_in, _DENIED)
        return response

    async def _answer_again(self, request: Request, sign_in: str) -> RedirectResponse | None:
        """Return the redirect of a form that this browser has sent before; None if it has not."""
        form, transaction = await request.form(), await self._transaction_store.get(key=sign_in)
        if transaction is None:
            return None
        token = transaction.consent_token
        given = [answer for answer in (token, _DENIED) if answer]
        if not self._has_page(request, sign_in, str(form.get(CSRF_FIELD, ""))) and not any(
            self._verify_consent_binding_cookie(request, sign_in, answer) for answer in given
        ):
            return None
        if form.get("action") == "deny":
            await self._withdraw_consent(sign_in, transaction)
            return self._back_to_client(transaction)
        if form.get("action") != "approve" or not token:
            return None
        response = RedirectResponse(self._build_upstream_authorize_url(sign_in, transaction.model_dump()), 302)
        self._set_consent_binding_cookie(response, sign_in, token)
        return response

    async def _withdraw_consent(self, sign_in: str, transaction: OAuthTransaction) -> None:
        """Take back an earlier Allow: a client that is told `access_denied` gets no code afterwards."""
        if transaction.consent_token:
            withdrawn = transaction.model_copy(update={"consent_token": None})
            await self._transaction_store.put(key=sign_in, value=withdrawn, ttl=TRANSACTION_SECONDS)

    def _has_page(self, request: Request, sign_in: str, csrf_token: str) -> bool:
        """Return whether this browser still has the signed cookie that came with the form."""
        name = self._cookie_name(_consent_state_base_name(csrf_token))
        entry = self._read_consent_state_cookies(request).get(name)
        return entry is not None and hmac.compare_digest(entry[0], sign_in)

    def _back_to_client(self, transaction: OAuthTransaction) -> RedirectResponse | None:
        uri = transaction.client_redirect_uri
        if not self._validate_client_redirect_uri(uri):
            return None
        told = {"error": "access_denied", "state": transaction.client_state or ""}
        return RedirectResponse(build_client_redirect(uri, told, iss=str(self.issuer_url)), 302)

    def _cookie_name(self, base_name: str) -> str:
        # FastMCP 4.2 has cookies for each sign-in. The tag stays while a server of version 0.1.0, whose FastMCP has the
        # same names for all servers of a host, may run beside this one: a browser that approved there finishes here.
        return super()._cookie_name(f"{self._cookie_tag}_{base_name}")
