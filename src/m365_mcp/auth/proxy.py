"""The OAuth 2.1 proxy in front of Entra ID: FastMCP's AzureProvider for signing in, our own sessions afterwards.

MCP clients register here (DCR or CIMD), the person signs in at Entra, and the client gets tokens of ours that refer to
a session in the store. `sessions` and `session_refresher` do everything after the sign-in. FastMCP 4.2's own token code
reads and deletes in separate steps, responds to every fault with 401 or 500, and deletes a refresh token before the
client has its successor.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from fastmcp.server.auth import AccessToken
from fastmcp.server.auth.oauth_proxy.upstream import AsyncOAuth2Client
from mcp.server.auth.provider import (
    AuthorizationCode,
    AuthorizationParams,
    AuthorizeError,
    RefreshToken,
    TokenError,
)
from mcp.server.auth.settings import RevocationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.routing import Route

from m365_mcp.auth import sign_in_events
from m365_mcp.auth.callback_endpoint import CallbackEndpoint
from m365_mcp.auth.client_metadata.clients import authenticator_of, clients_of
from m365_mcp.auth.client_metadata.documents import STALE_SECONDS
from m365_mcp.auth.client_secrets import issue_secret
from m365_mcp.auth.consent import ConsentPage
from m365_mcp.auth.mcp_tokens import McpTokens
from m365_mcp.auth.registration_store import RegistrationStore
from m365_mcp.auth.registrations import keep_allowed_uris, limit_metadata, restricted
from m365_mcp.auth.revocation import Revocation
from m365_mcp.auth.server_metadata import metadata_of, metadata_routes
from m365_mcp.auth.session import NewSession, new_session
from m365_mcp.auth.sessions import session_id_of
from m365_mcp.auth.sign_in_records import SignInRecords, describe_code
from m365_mcp.auth.sign_ins import SignIns
from m365_mcp.errors import SignInNeeded
from m365_mcp.errors.request_error import recorded
from m365_mcp.redirects import is_allowed, parse_all
from m365_mcp.settings import Settings
from m365_mcp.urls import read_url

_ENDED = "The sign-in has ended; sign in again."


class EntraProxy(CallbackEndpoint):
    """Signs MCP clients in through Entra ID.

    Args:
        settings: the settings of the server.
        sign_ins: the components of the proxy.
        graph_scopes: returns what each sign-in requests, so that consent covers it; no token request of ours has it.
        consent_page: renders the question whether a client may act as the person.
    """

    def __init__(
        self,
        settings: Settings,
        sign_ins: SignIns,
        graph_scopes: Callable[[], tuple[str, ...]],
        consent_page: ConsentPage,
    ) -> None:
        super().__init__(
            client_id=settings.azure_client_id,
            # The secret goes to the token endpoint only. FastMCP would sign cookies with it; jwt_signing_key does that.
            client_secret=None,
            tenant_id=settings.azure_tenant_id,
            required_scopes=[settings.mcp_scope_name],
            base_url=settings.mcp_server_base_url,
            base_authority=urlsplit(settings.authority).netloc,
            # With openid and profile, Entra puts oid and tid into the access token.
            additional_authorize_scopes=["openid", "profile", "offline_access"],
            allowed_client_redirect_uris=None,  # FastMCP 4.2 would compare spellings; see `registrations`
            client_storage=sign_ins.flows,
            jwt_signing_key=sign_ins.signing_keys[0],
            require_authorization_consent=True,
        )
        self._cimd_manager = clients_of(sign_ins.client_metadata, settings)
        self.revocation_options = RevocationOptions(enabled=True)
        self._cookie_tag = hashlib.sha256(settings.mcp_server_base_url.encode()).hexdigest()[:8]
        self._allowed_uris = list(settings.redirect_uris)
        self._allowed = parse_all(self._allowed_uris)
        self._access_seconds = settings.mcp_session_hours * 3600
        self._consent_page, self._graph_scopes = consent_page, graph_scopes
        self._sign_ins = sign_ins
        self._leases, self._callbacks = sign_ins.leases, sign_ins.callbacks
        self._sessions = sign_ins.sessions
        self._consent_url = sign_ins.refresher.endpoint.consent_url()
        self._registrations = RegistrationStore(self._client_store, sign_ins.unused_registrations)
        self.sign_in_records = SignInRecords(self._transaction_store, self._code_store, self._client_store)

    @recorded
    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        """Register a client (RFC 7591), with the redirect URIs that are allowed here and the secret that it asks for.

        Raises:
            RegistrationError: no redirect URI of the client is allowed, or it wants too many.
            StorageUnavailable: the client is not registered.
        """
        keep_allowed_uris(client_info, self._allowed)
        limit_metadata(client_info)
        asked = client_info.model_copy()
        await self._registrations.make_room(str(client_info.client_id))
        await super().register_client(client_info)  # FastMCP 4.2 registers public clients only, and says so here
        await issue_secret(self._client_store, asked, client_info)
        await self._registrations.begin(str(client_info.client_id))

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        """Return the client with that id, restricted to its own redirect URIs, or None."""
        if self._cimd_manager is not None and self._cimd_manager.is_cimd_client_id(client_id):
            # FastMCP 4.2 would look for a registration first. There is one if an older FastMCP has read the document.
            client = await self._cimd_manager.get_client(client_id) or await self._older_client(client_id)
        else:
            client = await super().get_client(client_id)
        if client is not None:
            sign_in_events.current().client_name = client.client_name
        return restricted(client, self._allowed_uris)

    async def _older_client(self, client_id: str) -> OAuthClientInformationFull | None:
        """Return what an older FastMCP kept of a document, for as long as a document is used without a fetch."""
        found = await self._client_store.get(key=client_id)
        is_fresh = found is not None and time.time() - (found.cimd_fetched_at or 0.0) < STALE_SECONDS
        return found if is_fresh else None

    async def _keep_client(self, client: OAuthClientInformationFull) -> bool:
        """Keep what is stored about a client with which somebody signs in or refreshes; False if it was just dropped.

        Raises:
            StorageUnavailable: the store did not respond.
        """
        await self._sign_ins.keep_metadata(client)
        has_document = getattr(client, "cimd_document", None) is not None
        return has_document or await self._registrations.keep(str(client.client_id))

    @recorded
    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        """Start a sign-in and return the URL that the browser visits next.

        Raises:
            AuthorizeError: `resource` is not this server (RFC 8707 section 2); AzureProvider 4.2 drops it unread.
            StorageUnavailable: the sign-in has not begun.
        """
        if params.resource and not self.is_our_resource(params.resource):
            raise AuthorizeError("invalid_target", f"This server's resource is {self._resource_url}.")
        await self._sign_ins.lend_metadata(client)
        return await super().authorize(client, params)

    def is_our_resource(self, resource: str) -> bool:
        """Return whether a resource indicator names this server's MCP endpoint (RFC 8707 section 2: no fragment).

        Both are compared in their normal form. A query is ignored, because some clients add one.
        """
        try:
            return read_url(resource) == read_url(str(self._resource_url))
        except ValueError:
            return False

    @property
    def _tokens(self) -> McpTokens:
        # The audience is known only after FastMCP has passed the endpoint's path to the provider.
        keys = self._sign_ins.signing_keys
        return McpTokens(keys, str(self.issuer_url), str(self._resource_url), self._access_seconds)

    @recorded
    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        """Redeem a code of this server, once, for the first tokens of a session.

        Raises:
            TokenError: `invalid_grant`: the code was redeemed before; `invalid_client`: the assertion was.
            StorageUnavailable: the client can use the same code again.
        """
        if (found := await self._code_store.get(key=authorization_code.code)) is None:
            raise TokenError("invalid_grant", "The authorization code has expired.")
        describe_code(sign_in_events.current(), found)
        if not await self._keep_client(client):
            raise TokenError("invalid_client", "The registration of the client has ended; register again.")
        new = NewSession(
            session_id=session_id_of(authorization_code.code),
            client_id=str(client.client_id),
            client_name=client.client_name or "",
            scopes=tuple(authorization_code.scopes),
            tokens=found.idp_tokens,
            received_at=found.created_at,
        )
        await self._sign_ins.use_assertion(client)
        begun = await self._sessions.begin(authorization_code.code, new_session(new, self._sessions.clock()))
        if begun is None:
            raise TokenError("invalid_grant", "The authorization code was redeemed before.")
        sign_in_events.current().person, sign_in_events.current().session = begun.person, begun.id
        tokens = self._tokens.issue(begun, begun.current)
        if "refresh_token" not in client.grant_types:  # RFC 7591 section 2: it could not use one
            tokens.refresh_token = None
        return tokens

    @recorded
    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> RefreshToken | None:
        """Return the refresh token if this server issued it to this client; the exchange looks for its session."""
        reference = self._tokens.read(refresh_token, "refresh")
        if reference is None or reference.client_id != client.client_id:
            return None
        return RefreshToken(
            token=refresh_token,
            client_id=reference.client_id,
            scopes=self.required_scopes,
            expires_at=reference.expires_at,
        )

    @recorded
    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        """Exchange a refresh token for the next tokens of its session.

        Raises:
            TokenError: `invalid_grant`: the sign-in has ended, or the token was used before the grace time.
            M365Error: the client can use the same refresh token again.
        """
        reference = self._tokens.read(refresh_token.token, "refresh")
        if reference is None:
            raise TokenError("invalid_grant", _ENDED)

        async def admit() -> None:
            await self._keep_client(client)
            await self._sign_ins.use_assertion(client)

        try:
            pair = await self._sign_ins.refresher.new_pair(reference.session_id, reference.number, admit)
        except SignInNeeded as ended:
            raise TokenError("invalid_grant", ended.explain()) from ended
        if pair is None:
            ending = await self._sessions.ending(reference.session_id)
            raise TokenError("invalid_grant", _ENDED if ending is None else ending.explain())
        return self._tokens.issue(*pair)

    @recorded
    async def load_access_token(self, token: str) -> AccessToken | None:
        """Return the person and the assertion of our access token; None when the person must sign in again.

        Raises:
            M365Error: it cannot be found out now whether the token is valid, or Microsoft refuses for a reason that no
                sign-in changes.
        """
        reference = self._tokens.read(token, "access")
        if reference is None:
            return None
        return await self._sign_ins.access.find(reference.session_id, reference.expires_at)

    async def has_grant(self, fields: Mapping[str, str]) -> bool:
        """Return whether a form for /token or /revoke has a code that we know, or a token of a session that lives.

        Raises:
            StorageUnavailable: the store did not respond.
        """
        code = fields.get("code") if fields.get("grant_type") == "authorization_code" else None
        if code:
            return await self._code_store.get(key=code) is not None
        reference = self._tokens.read(fields.get("refresh_token") or fields.get("token") or "", None)
        return reference is not None and await self._sessions.find(reference.session_id) is not None

    def get_routes(self, mcp_path: str | None = None) -> list[Route]:
        """Return the OAuth routes, with the revocation endpoint and the metadata of our own."""
        routes = super().get_routes(mcp_path)
        authenticator = authenticator_of(self, self._cimd_manager, self.token_endpoint_url)
        ours = [
            Revocation(authenticator, self._tokens, self._sessions, self._sign_ins.use_assertion).route(),
            *metadata_routes(metadata_of(self, reads_metadata_documents=self._cimd_manager is not None)),
        ]
        replaced = {route.path for route in ours}
        return [*ours, *(route for route in routes if getattr(route, "path", None) not in replaced)]

    def _build_upstream_authorize_url(self, txn_id: str, transaction: dict[str, Any]) -> str:
        scopes = [*(transaction.get("scopes") or self.required_scopes), *self._graph_scopes()]
        return super()._build_upstream_authorize_url(txn_id, {**transaction, "scopes": scopes})

    def _validate_client_redirect_uri(self, redirect_uri: str) -> bool:
        return is_allowed(redirect_uri, self._allowed)

    def _create_upstream_oauth_client(self) -> AsyncOAuth2Client:
        # FastMCP documents duck typing here (see `auth.upstream`); its annotation is narrower.
        return cast("AsyncOAuth2Client", self._sign_ins.upstream)
