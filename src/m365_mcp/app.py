"""The composition root: settings in, a ready ASGI application out. Owns every long-lived object and its end."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2
from fastmcp import FastMCP
from fastmcp.server.http import StarletteWithLifespan
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from m365_mcp import __version__, logs, retries
from m365_mcp.auth.callbacks import Callbacks
from m365_mcp.auth.graph_token_provider import GraphTokenProvider
from m365_mcp.auth.proxy import EntraProxy, SignIns
from m365_mcp.auth.session_refresher import SessionRefresher
from m365_mcp.auth.sessions import Sessions
from m365_mcp.auth.sign_in_events import SignInLog
from m365_mcp.auth.step_up import StepUps
from m365_mcp.auth.upstream import UpstreamClient
from m365_mcp.entra.client_credential import choose_credential
from m365_mcp.entra.on_behalf_of import GraphTokenCache, OnBehalfOf
from m365_mcp.entra.signing_keys import SigningKeys
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.entra.verifier import EntraTokenVerifier, TokenRequirements
from m365_mcp.graph.client import GraphClient
from m365_mcp.mail import DEFAULT_BLOCKED, MailRules
from m365_mcp.metrics import Metrics
from m365_mcp.sending.composer import Composer
from m365_mcp.sending.delivery import Delivery
from m365_mcp.sending.ledger import Ledger, RepeatWindows
from m365_mcp.sending.outbox import Outgoing
from m365_mcp.sending.person_limits import MailboxSlots, RecipientRateLimit
from m365_mcp.settings import Settings
from m365_mcp.settings.clouds import graph_scopes
from m365_mcp.storage.encryption import derive, make_cipher
from m365_mcp.storage.opening import Storage, open_storage
from m365_mcp.tools import instructions_for, tools_for
from m365_mcp.tools.caller import SERVICES, Services
from m365_mcp.tools.outcome import ToolOutcome
from m365_mcp.tools.published import publish, switched_off
from m365_mcp.uploads.links import UploadBatches, UploadLinks
from m365_mcp.uploads.pending import Uploads
from m365_mcp.uploads.receiver import UploadReceiver
from m365_mcp.web import health
from m365_mcp.web.discovery import Discovery
from m365_mcp.web.error_override import ErrorOverride
from m365_mcp.web.mcp_requests import McpRequests
from m365_mcp.web.oauth_requests import OAuthRequests, limited
from m365_mcp.web.origins import HostOriginGuard, McpCors
from m365_mcp.web.pages import Pages
from m365_mcp.web.protocol_version import ProtocolVersionOfBody
from m365_mcp.web.security_headers import SecurityHeaders
from m365_mcp.web.sign_in_trail import SignInTrail
from m365_mcp.web.uploads import upload_route

MCP_PATH = "/mcp"
MAX_MCP_BODY = 16 * 1024 * 1024  # bytes; above Graph's own limit, so that the tool can say what is too large
_log = logs.get(__name__)


@dataclass(frozen=True)
class Container:
    """The long-lived objects of one server process."""

    settings: Settings
    http: httpx2.AsyncClient
    graph_http: httpx2.AsyncClient
    storage: Storage
    sign_ins: SignIns
    auth: EntraProxy
    services: Services
    metrics: Metrics
    readiness: health.Readiness
    pages: Pages

    @property
    def checks(self) -> tuple[health.Check, ...]:
        """What must work for this server to be useful."""
        return self.readiness.checks

    async def close(self) -> None:
        """Give back connections."""
        self.services.outgoing.composer.close()
        await self.services.outgoing.delivery.finish()
        await self.http.aclose()
        await self.graph_http.aclose()
        await self.storage.close()


def build_container(settings: Settings, transport: httpx2.AsyncBaseTransport | None = None) -> Container:
    """Build everything; only choosing the store touches the outside. In tests `transport` takes the network's place."""
    retries.keep_silent()
    metrics, pages = Metrics(), Pages(settings)
    # Two pools, so that a slow Graph does not delay sign-ins.
    http, graph_http = _http_client(settings, 100, 10, transport), _http_client(settings, 200, 20, transport)
    storage = open_storage(
        settings,
        make_cipher([key.get_secret_value() for key in settings.storage_encryption_key], settings.signing_secrets),
    )
    keys = SigningKeys(f"{settings.authority}/{settings.azure_tenant_id}/discovery/v2.0/keys", http)
    endpoint = TokenEndpoint(
        settings.authority,
        settings.azure_tenant_id,
        settings.azure_client_id,
        choose_credential(settings),
        http,
        metrics,
    )
    scopes = graph_scopes(settings.cloud, settings.graph, settings.graph_permissions)
    sign_ins = build_sign_ins(settings, storage, endpoint, keys, metrics)
    on_behalf_of = OnBehalfOf(
        endpoint, scopes, shared=GraphTokenCache(storage.records), leases=storage.leases, metrics=metrics
    )
    tokens, graph = (
        GraphTokenProvider(on_behalf_of, sign_ins.refresher),
        GraphClient(settings.graph, graph_http, metrics),
    )
    return Container(
        settings,
        http,
        graph_http,
        storage,
        sign_ins,
        EntraProxy(settings, sign_ins, scopes, pages.consent),
        build_services(settings, storage, metrics, tokens, graph),
        metrics,
        health.Readiness((health.Check("storage", storage.ping), health.Check("entra", keys.warm))),
        pages,
    )


def build_services(
    settings: Settings, storage: Storage, metrics: Metrics, tokens: GraphTokenProvider, graph: GraphClient
) -> Services:
    """Build what the tools use."""
    outgoing = build_outgoing(settings, storage, metrics)
    links, batches = UploadLinks(storage.records, storage.leases), UploadBatches(storage.records)
    return Services(tokens, graph, outgoing, Uploads(links, batches, settings.mcp_server_base_url))


def build_outgoing(settings: Settings, storage: Storage, metrics: Metrics) -> Outgoing:
    """Build what outgoing messages go through."""
    windows = RepeatWindows(key=settings.m365_send_key_hours * 3600.0, message=settings.m365_send_repeat_minutes * 60.0)
    delivery = Delivery(
        Ledger(storage.records, storage.leases, windows),
        MailboxSlots(storage.leases),
        RecipientRateLimit(storage.records, settings.m365_send_hourly_limit),
        metrics,
        settings.m365_send_throttled_seconds,
    )
    by_draft = settings.m365_send_mode == "draft"
    return Outgoing(_mail_rules(settings), Composer(), delivery, by_draft, settings.m365_show_previews)


def _mail_rules(settings: Settings) -> MailRules:
    blocked = settings.m365_send_blocked_extensions
    return MailRules(
        allowed_domains=settings.m365_send_allowed_domains,
        max_recipients=settings.m365_send_max_recipients,
        allow_bcc=settings.m365_send_bcc,
        allow_from=settings.m365_send_from,
        blocked_extensions=DEFAULT_BLOCKED if blocked is None else frozenset(blocked),
    )


def build_sign_ins(
    settings: Settings, storage: Storage, endpoint: TokenEndpoint, keys: SigningKeys, metrics: Metrics
) -> SignIns:
    """Build what people sign in with and stay signed in by."""
    verifier = EntraTokenVerifier(_expected_token(settings), keys)
    sessions = Sessions(storage.records, metrics, settings.mcp_refresh_grace_seconds)
    step_ups = StepUps(storage.records)
    scope = f"api://{settings.azure_client_id}/{settings.mcp_scope_name} openid profile offline_access"
    return SignIns(
        storage.client_storage,
        sessions,
        SessionRefresher(sessions, storage.leases, endpoint, verifier, step_ups, scope),
        Callbacks(storage.records),
        UpstreamClient(endpoint, verifier, step_ups),
        tuple(derive(secret, "jwt") for secret in settings.signing_secrets),
    )


def _expected_token(settings: Settings) -> TokenRequirements:
    return TokenRequirements(
        authority=settings.authority,
        audiences=(settings.azure_client_id, f"api://{settings.azure_client_id}"),
        tenants=settings.tenants,
        scope=settings.mcp_scope_name,
    )


def _http_client(
    settings: Settings, connections: int, kept: int, transport: httpx2.AsyncBaseTransport | None
) -> httpx2.AsyncClient:
    trust: Any = ssl.create_default_context(cafile=settings.ssl_cert_file) if settings.ssl_cert_file else True
    # All people share this client, so it stores no cookies.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx2.AsyncClient(
        cookies=no_cookies,
        verify=trust,
        timeout=httpx2.Timeout(30.0, connect=3.0, pool=10.0),
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=kept),
        headers={"User-Agent": f"m365-mcp/{__version__}"},
        transport=transport,
    )


def build_server(container: Container) -> FastMCP[Any]:
    """Return the MCP server with its tools, without an HTTP application around it."""

    @asynccontextmanager
    async def lifespan(_: FastMCP[Any]) -> AsyncIterator[dict[str, Any]]:
        yield {SERVICES: container.services}

    server: FastMCP[Any] = FastMCP(
        name=container.settings.mcp_product_name,
        instructions=instructions_for(container.settings.m365_toolsets),
        version=__version__,
        icons=[container.pages.product.icon_for_clients()],
        auth=container.auth,
        lifespan=lifespan,
        middleware=[ToolOutcome(container.metrics)],
        mask_error_details=True,
    )
    for function in tools_for(container.settings.m365_toolsets):
        server.add_tool(publish(function, switched_off(container.services.outgoing)))
    return server


def create_app(settings: Settings) -> Starlette:
    """Return the whole application for the settings."""
    return assemble(build_container(settings))


def assemble(container: Container) -> Starlette:
    """Return the whole application: probes outside, then the edge, then FastMCP."""
    inner = build_server(container).http_app(
        path=MCP_PATH,
        json_response=True,  # a drained SIGTERM keeps JSON answers and cuts event streams
        stateless_http=container.settings.fastmcp_stateless_http,
        host_origin_protection=False,  # HostOriginGuard does it, and knows the public URL
        middleware=[
            Middleware(McpRequests, mcp_path=MCP_PATH, max_body=MAX_MCP_BODY),
            Middleware(ProtocolVersionOfBody, mcp_path=MCP_PATH, max_body=MAX_MCP_BODY),
        ],
    )
    inner.router.redirect_slashes = False  # Starlette would redirect to whatever Host says

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        _start_metrics(container)
        try:
            async with inner.lifespan(inner):
                _allow_large_messages(inner)
                yield
        finally:
            await container.close()

    checked = OAuthRequests(inner, container.auth.is_our_resource)
    observed = Mount("/", SignInTrail(checked, SignInLog(container.metrics), container.auth.sign_in_records))
    edge = [
        # The first sees a request first and its answer last.
        Middleware(health.Draining, readiness=container.readiness),
        Middleware(SecurityHeaders, hsts_seconds=container.settings.hsts_seconds),
        Middleware(ErrorOverride, metrics=container.metrics, pages=container.pages, mcp_path=MCP_PATH),
        Middleware(Discovery, prefix=container.settings.public_path, mcp_path=MCP_PATH),
        Middleware(HostOriginGuard, settings=container.settings),
        Middleware(McpCors, settings=container.settings, mcp_path=MCP_PATH),
    ]
    routes = [*health.routes(container.readiness), *_page_routes(container), *_upload_routes(container), observed]
    return Starlette(routes=routes, middleware=edge, lifespan=lifespan)


def _page_routes(container: Container) -> list[Route]:
    endpoint = f"{container.settings.mcp_server_base_url}{MCP_PATH}"

    async def landing(request: Request) -> Response:
        state, _ = await container.readiness.evaluate()
        return container.pages.landing(request, endpoint, works=state == "ok")

    return [Route("/", landing), *container.pages.product.routes()]


def _upload_routes(container: Container) -> list[Route]:
    if "attachments" not in container.settings.m365_toolsets:
        return []
    known, outgoing = container.services, container.services.outgoing
    receiver = UploadReceiver(
        known.uploads.links, known.tokens, known.graph, outgoing.delivery.slots, outgoing.rules, container.metrics
    )
    return [upload_route(receiver, container.pages)]


def _allow_large_messages(inner: StarletteWithLifespan) -> None:
    # FastMCP 4.2 does not hand the SDK's max_request_body_size on, and 4 MiB cuts messages off with a bare 413
    # before the tool can explain. The session manager exists only once the lifespan has begun.
    route: Any = next(route for route in inner.routes if getattr(route, "path", None) == MCP_PATH)
    manager = route.endpoint.app.session_manager
    manager.asgi_app = limited(manager.asgi_app.app, MAX_MCP_BODY)


def _start_metrics(container: Container) -> None:
    port = container.settings.mcp_metrics_port
    if not port:
        return
    try:
        container.metrics.listen(container.settings.mcp_host, port)
    except OSError:
        _log.warning("metrics_port_taken", port=port, advice="set MCP_METRICS_PORT to a free port, or 0 for none")
