"""The OAuth 2.1 proxy in front of Entra ID: FastMCP's AzureProvider, with what it leaves open closed.

MCP clients register here (DCR or CIMD), the person signs in at Entra, and the client gets a token of ours that
stands for the Entra tokens in the store. May know `errors`, `redirects`, `settings`, `entra.*`.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from cachetools import TTLCache
from fastmcp.server.auth.identity_assertion import normalize_resource_url
from fastmcp.server.auth.oauth_proxy.models import ProxyDCRClient, UpstreamTokenSet
from fastmcp.server.auth.oauth_proxy.upstream import AsyncOAuth2Client
from fastmcp.server.auth.providers.azure import AzureProvider
from key_value.aio.protocols import AsyncKeyValue
from mcp.server.auth.provider import AuthorizationParams, AuthorizeError, RegistrationError
from mcp.shared.auth import InvalidRedirectUriError, OAuthClientInformationFull
from pydantic import AnyUrl
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from m365_mcp import trouble
from m365_mcp.entra.decipher import decipher
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.entra.upstream import UpstreamClient
from m365_mcp.entra.verifier import EntraTokenVerifier
from m365_mcp.errors import EntraUnavailable, PersonDeclined
from m365_mcp.redirects import is_allowed
from m365_mcp.settings import LOOPBACK_HOSTS, Settings

EARLY_REFRESH_SECONDS_AT_MOST = 3.0  # what an early refresh may take of somebody's call
EARLY_REFRESH_PAUSE_SECONDS = 5.0  # after one that failed
EARLY_REFRESH_SECONDS = 300  # an assertion must not end while a tool call is using it
SECONDS_PER_HOUR = 3600
REGISTRATION_SECONDS = 90 * 24 * SECONDS_PER_HOUR  # as long as Entra keeps an unused refresh token


class StrictClient(ProxyDCRClient):
    """A registered client that may only use redirect URIs that are both allowed here and its own.

    FastMCP 4.1 lets a client that registered one allowed URI use any other allowed one, with any query.
    """

    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        """Return the URI to use. Raises InvalidRedirectUriError (answered without a redirect)."""
        resolved = super().validate_redirect_uri(redirect_uri)
        own = [] if self.allow_unregistered_redirect_uris else [str(uri) for uri in self.redirect_uris or ()]
        if self.cimd_document is not None:
            own = self.cimd_document.redirect_uris
        allowed = is_allowed(str(resolved), self.allowed_redirect_uri_patterns or ())
        if not allowed or (own and not is_allowed(str(resolved), [_any_loopback_port(uri) for uri in own])):
            raise InvalidRedirectUriError(_REDIRECT_REFUSED)
        return resolved


def _any_loopback_port(uri: str) -> str:
    # RFC 8252 section 7.3: the port of a loopback redirect URI is chosen anew at every sign-in.
    parts = urlsplit(uri.replace(":*", ""))
    return parts._replace(netloc=parts.netloc.rpartition(":")[0]).geturl() if _has_loopback_port(parts) else uri


def _has_loopback_port(parts: SplitResult) -> bool:
    return parts.hostname in LOOPBACK_HOSTS and parts.port is not None


class EntraProxy(AzureProvider):
    """Signs MCP clients in through Entra ID.

    Args:
        settings: the operator's choices.
        endpoint: Entra's token endpoint, shared with the On-Behalf-Of exchange.
        verifier: checks Entra's tokens.
        records: the encrypted store.
        signing_key: 32 bytes that sign our tokens.
        graph_scopes: asked for at sign-in so that consent covers them; never part of our own token requests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        endpoint: TokenEndpoint,
        verifier: EntraTokenVerifier,
        records: AsyncKeyValue,
        signing_key: bytes,
        graph_scopes: tuple[str, ...],
    ) -> None:
        super().__init__(
            client_id=settings.azure_client_id,
            # The secret itself goes to the token endpoint only; here it would sign cookies, which the key below does.
            client_secret=None,
            tenant_id=settings.azure_tenant_id,
            required_scopes=[settings.mcp_scope_name],
            base_url=settings.mcp_server_base_url,
            base_authority=urlsplit(settings.authority).netloc,
            # openid and profile make Entra put oid and tid into the access token.
            additional_authorize_scopes=[*graph_scopes, "openid", "profile", "offline_access"],
            allowed_client_redirect_uris=list(settings.mcp_allowed_redirect_uris),
            client_storage=records,
            jwt_signing_key=signing_key,
            require_authorization_consent=True,
            fastmcp_access_token_expiry_seconds=settings.mcp_session_hours * SECONDS_PER_HOUR,
            token_expiry_threshold_seconds=EARLY_REFRESH_SECONDS,
        )
        self._cookie_tag = hashlib.sha256(settings.mcp_server_base_url.encode()).hexdigest()[:8]
        self._allowed = settings.mcp_allowed_redirect_uris
        self._endpoint = endpoint
        # FastMCP 4.1 builds its own verifier and offers no parameter for another one.
        self._token_validator = self._verifier = verifier
        self._refresh_failures: TTLCache[str, bool] = TTLCache(maxsize=10_000, ttl=EARLY_REFRESH_PAUSE_SECONDS)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        """Register a client (RFC 7591) whose redirect URIs are all allowed here.

        Raises:
            RegistrationError: `invalid_redirect_uri`.
        """
        for uri in client_info.redirect_uris or ():
            if not is_allowed(str(uri), self._allowed):
                raise RegistrationError("invalid_redirect_uri", _REDIRECT_REFUSED)
        await super().register_client(client_info)
        await self._keep_registration(str(client_info.client_id))

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        """Return the client with that id, held to its redirect URIs, or None."""
        client = await super().get_client(client_id)
        if client is not None:
            await self._keep_registration(client_id)
        return StrictClient.model_construct(**dict(client)) if isinstance(client, ProxyDCRClient) else client

    async def _keep_registration(self, client_id: str) -> None:
        """Give a registration an end, moved on while it is used; FastMCP 4.1 keeps every one for ever."""
        client, seconds = await self._client_store.ttl(key=client_id)
        if client is not None and (seconds is None or seconds < REGISTRATION_SECONDS / 2):
            await self._client_store.put(key=client_id, value=client, ttl=REGISTRATION_SECONDS)

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        """Start a sign-in and return where the browser goes next.

        Raises:
            AuthorizeError: `invalid_target` for a `resource` that is not this server (RFC 8707 section 2; AzureProvider
                4.1 drops the parameter before anybody looks at it).
        """
        if params.resource and not self.is_our_resource(params.resource):
            raise AuthorizeError("invalid_target", f"This server's resource is {self._resource_url}.")
        return await super().authorize(client, params)

    def is_our_resource(self, resource: str) -> bool:
        """Return whether a resource indicator names this server's MCP endpoint (RFC 8707 section 2: no fragment).

        Scheme and host are compared without case; a query is passed over, because some clients add one.
        """
        parts = urlsplit(normalize_resource_url(resource))
        spelled = parts._replace(netloc=parts.netloc.lower()).geturl()
        return "#" not in resource and spelled == normalize_resource_url(str(self._resource_url))

    async def _try_transparent_refresh(self, upstream_token_set: UpstreamTokenSet) -> UpstreamTokenSet:
        """Refresh early and quickly, or not at all while Entra does not answer and the token is still good.

        FastMCP 4.1 tries at every request of a token's last minutes, one after the other, however long each takes.
        """
        key = upstream_token_set.upstream_token_id
        if upstream_token_set.expires_at <= time.time():
            return await super()._try_transparent_refresh(upstream_token_set)
        if key in self._refresh_failures:
            raise trouble.record(EntraUnavailable())
        try:
            async with asyncio.timeout(EARLY_REFRESH_SECONDS_AT_MOST):
                return await super()._try_transparent_refresh(upstream_token_set)
        except (EntraUnavailable, TimeoutError) as error:
            self._refresh_failures[key] = True
            raise trouble.record(error if isinstance(error, EntraUnavailable) else EntraUnavailable()) from error

    async def _handle_idp_callback(self, request: Request) -> HTMLResponse | RedirectResponse:
        """Take the browser back from Entra; a refusal is passed on in our words, never in the text of the URL."""
        return await super()._handle_idp_callback(_in_our_words(request))

    def _validate_client_redirect_uri(self, redirect_uri: str) -> bool:
        return is_allowed(redirect_uri, self._allowed)

    def _cookie_name(self, base_name: str) -> str:
        # FastMCP 4.1 gives all servers of one host the same cookie names, and __Host- cookies all have Path=/.
        return super()._cookie_name(f"{self._cookie_tag}_{base_name}")

    def _create_upstream_oauth_client(self) -> AsyncOAuth2Client:
        # The seam is duck-typed (see entra.upstream); its annotation is narrower than its documentation.
        client: Any = UpstreamClient(self._endpoint, self._verifier)
        upstream: AsyncOAuth2Client = client
        return upstream

    async def _extract_upstream_claims(self, idp_tokens: dict[str, Any]) -> dict[str, Any] | None:
        # AzureProvider 4.1 copies name, address, roles and groups into a token that is signed, not encrypted,
        # and kept by the client. Nothing here needs them there.
        return None


def _in_our_words(request: Request) -> Request:
    """Return the callback with Entra's error description, or whatever stands there, replaced by our explanation."""
    query = request.query_params
    if "error" not in query:
        return request
    known = query["error"] if query["error"] in _AUTHORIZE_ERRORS else "server_error"
    body = {"error": known, "error_description": query.get("error_description", "")}
    meant = PersonDeclined() if known == "access_denied" else decipher(400, body)
    told = {"error": known, "error_description": meant.explain(), "state": query.get("state", "")}
    return Request({**request.scope, "query_string": urlencode(told).encode()}, request.receive)


# RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6, and Entra's own.
_AUTHORIZE_ERRORS = (
    "access_denied",
    "invalid_request",
    "invalid_scope",
    "invalid_resource",
    "invalid_target",
    "unauthorized_client",
    "unsupported_response_type",
    "server_error",
    "temporarily_unavailable",
    "interaction_required",
    "login_required",
    "consent_required",
)
_REDIRECT_REFUSED = "This redirect URI is not allowed here; the operator can add it to MCP_ALLOWED_REDIRECT_URIS."
