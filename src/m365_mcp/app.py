"""Assembles the ASGI application of one server process from the objects in its container."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import fastmcp
from fastmcp import FastMCP
from fastmcp.server.http import StarletteWithLifespan
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from m365_mcp import __version__, logs, tracing
from m365_mcp.audit.events import RefusedCall
from m365_mcp.audit.trail import AuditTrail
from m365_mcp.auth.passkey_challenges import PasskeyChallenges
from m365_mcp.auth.passkeys import Passkeys
from m365_mcp.auth.relying_party import RelyingParty
from m365_mcp.auth.sign_in_events import SignInLog
from m365_mcp.container import Container, build_container
from m365_mcp.errors import M365Error, StorageUnavailable
from m365_mcp.policy.facts import InternalDomains, unasked_free_mail
from m365_mcp.redirects import parse_all
from m365_mcp.settings import Settings
from m365_mcp.tools import instructions_for, tools_for
from m365_mcp.tools.attachments import attach_files
from m365_mcp.tools.caller import SERVICES
from m365_mcp.tools.outcome import ToolOutcome
from m365_mcp.tools.published import publish, switched_off
from m365_mcp.tools.session_check import SessionCheck
from m365_mcp.tools.url_elicitation import UrlElicitation
from m365_mcp.uploads.links import UploadLink
from m365_mcp.uploads.receiver import UploadReceiver
from m365_mcp.uploads.slots import UploadSlots
from m365_mcp.web import health
from m365_mcp.web.approvals import ApprovalCallback, ApprovalPages
from m365_mcp.web.client_address import ClientAddresses, trusted_hosts
from m365_mcp.web.discovery import Discovery
from m365_mcp.web.ended_calls import EndedCalls
from m365_mcp.web.error_descriptions import ErrorDescriptions
from m365_mcp.web.error_override import ErrorOverride
from m365_mcp.web.mcp_endpoint import McpEndpoint
from m365_mcp.web.mcp_requests import McpRequests, limited_unless_read
from m365_mcp.web.mcp_sessions import McpSessions, declares_url
from m365_mcp.web.oauth_parameters import OAuthParameters
from m365_mcp.web.oauth_requests import OAuthBodies, OAuthRequests
from m365_mcp.web.origins import HostOriginGuard, McpCors
from m365_mcp.web.pages import State
from m365_mcp.web.passkey_ceremonies import PasskeyCeremonies
from m365_mcp.web.passkeys import PasskeyPages
from m365_mcp.web.rate_limits import ApprovalRates, RateLimits
from m365_mcp.web.redirect_uris import RedirectUris
from m365_mcp.web.request_headers import RequestHeaders
from m365_mcp.web.request_paths import RequestPaths
from m365_mcp.web.security_headers import SecurityHeaders
from m365_mcp.web.server_card import card_routes
from m365_mcp.web.sign_in_trail import SignInTrail
from m365_mcp.web.store_reserve import StoreReserve
from m365_mcp.web.tool_lists import ToolLists
from m365_mcp.web.traced_requests import TracedRequests
from m365_mcp.web.uploads import upload_route

MCP_PATH = "/mcp"
MAX_MCP_BODY = 16 * 1024 * 1024  # bytes; above Graph's own limit, so that the tool can say what is too large
_log = logs.get(__name__)


def build_server(container: Container) -> FastMCP[Any]:
    """Return the MCP server with its tools, without an HTTP application around it."""

    @asynccontextmanager
    async def lifespan(_: FastMCP[Any]) -> AsyncIterator[dict[str, Any]]:
        yield {SERVICES: container.services}

    _spare_spans()
    toolsets, level = container.settings.m365_toolsets, container.settings.m365_send_level
    may_ask = container.services.outgoing.may_ask
    tools = tools_for(toolsets, level, may_ask=may_ask)
    server: FastMCP[Any] = FastMCP(
        name=container.settings.mcp_product_name,
        instructions=instructions_for(toolsets, level, may_ask=may_ask),
        version=__version__,
        icons=[container.pages.product.icon_for_clients()],
        auth=container.auth,
        lifespan=lifespan,
        middleware=[
            UrlElicitation(declares_url),
            ToolOutcome(container.metrics, tools, container.audit),
            SessionCheck(container.sign_ins.access.read_anew, tools),
        ],
        mask_error_details=True,
        dereference_schemas=False,  # `publish` has done it once, and FastMCP would look for references at each call
    )
    off, asks = switched_off(container.services.outgoing), container.settings.m365_send_require_interaction
    for function in tools:
        server.add_tool(publish(function, off, requires_interaction=asks))
    return server


def _spare_spans() -> None:
    """Have FastMCP make spans only where they are exported, unless asked to."""
    if "telemetry_mode" not in fastmcp.settings.model_fields_set:
        fastmcp.settings.telemetry_mode = "native" if tracing.is_on() else "off"


def create_app(settings: Settings) -> Starlette:
    """Return the whole application for the settings."""
    return assemble(build_container(settings))


def assemble(container: Container, clock: Callable[[], float] = time.monotonic) -> Starlette:
    """Return the whole application: probes outside, then the edge, then FastMCP.

    `clock` returns monotonic seconds, for the rate limits; for tests.
    """
    inner = _mcp_application(container)
    cards = card_routes(container.pages.product) if container.settings.mcp_server_card else []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        _start_metrics(container)
        _warn_of_free_mail(container.settings)
        try:
            async with inner.lifespan(inner), _running(container):
                _allow_large_messages(inner)
                yield
        finally:
            await container.close()

    edge = [  # the first sees a request first and its answer last
        Middleware(ProxyHeadersMiddleware, trusted_hosts=trusted_hosts(container.settings.mcp_trusted_proxies)),
        Middleware(health.Draining, readiness=container.readiness),
        Middleware(SecurityHeaders, hsts_seconds=container.settings.hsts_seconds),
        Middleware(RequestPaths, prefix=container.settings.public_path),
        Middleware(ErrorOverride, metrics=container.metrics, pages=container.pages, mcp_path=MCP_PATH),
        *([Middleware(TracedRequests, mcp_path=MCP_PATH)] if tracing.is_on() else []),
        Middleware(Discovery, prefix=container.settings.public_path, mcp_path=MCP_PATH, further=cards),
        Middleware(RequestHeaders, mcp_path=MCP_PATH),
        _sign_in_trail(container),
        Middleware(HostOriginGuard, settings=container.settings),
        Middleware(McpCors, settings=container.settings, mcp_path=MCP_PATH),
        Middleware(McpEndpoint, mcp_path=MCP_PATH, endpoint=inner),
    ]
    addresses = ClientAddresses(container.settings.mcp_trusted_proxies)
    probes = health.routes(container.readiness, health.identity(container.settings))
    pages = _page_routes(container, ApprovalRates(addresses.of, container.metrics, clock))
    endpoints = Mount("/", _limits(container, inner, addresses, clock))
    routes = [*probes, *pages, *cards, *_upload_routes(container), endpoints]
    return Starlette(routes=routes, middleware=edge, lifespan=lifespan)


def _mcp_application(container: Container) -> StarletteWithLifespan:
    """Return FastMCP's application, behind the checks of what comes to the MCP endpoint."""
    is_stateless = container.settings.fastmcp_stateless_http
    # Where mail may wait, a client's session id says whether it opens URLs; a server with sessions knows it.
    gives_ids = is_stateless and container.services.outgoing.may_ask
    inner = build_server(container).http_app(
        path=MCP_PATH,
        json_response=True,  # a drained SIGTERM keeps JSON answers and cuts event streams
        stateless_http=is_stateless,
        host_origin_protection=False,  # HostOriginGuard does it, and knows the public URL
        middleware=[
            Middleware(McpRequests, mcp_path=MCP_PATH, max_body=MAX_MCP_BODY),
            *([Middleware(McpSessions, mcp_path=MCP_PATH)] if gives_ids else []),
            *([Middleware(ToolLists)] if is_stateless else []),
            Middleware(EndedCalls),
        ],
    )
    inner.router.redirect_slashes = False  # Starlette would redirect to whatever Host says
    return inner


@asynccontextmanager
async def _running(container: Container) -> AsyncIterator[None]:
    """Do what this server does without a request, while the block runs."""
    async with (
        container.audit.running(),
        container.policy_watcher.running(),
        container.held_expiry.running(),
        container.scheduled_review.running(),
    ):
        yield


def _sign_in_trail(container: Container) -> Middleware:
    """Return what sees every sign-in, for the log and for the audit trail."""
    log, records = SignInLog(container.metrics, container.audit.record), container.auth.sign_in_records
    return Middleware(SignInTrail, log=log, records=records, notes_addresses=container.audit.notes_addresses)


def _limits(container: Container, inner: ASGIApp, addresses: ClientAddresses, clock: Callable[[], float]) -> ASGIApp:
    """Return FastMCP behind the limits and checks of the OAuth endpoints; what they refuse has written nothing."""
    callbacks = ApprovalCallback(inner, container.proofs)
    parameters = OAuthParameters(callbacks, parse_all(container.settings.redirect_uris))
    checked = OAuthRequests(ErrorDescriptions(RedirectUris(parameters)), container.auth.is_our_resource)
    reserved = StoreReserve(checked, container.storage.reserve)
    return OAuthBodies(RateLimits(reserved, addresses.of, container.auth.has_grant, container.metrics, clock))


def _page_routes(container: Container, rates: ApprovalRates) -> list[Route]:
    endpoint = f"{container.settings.mcp_server_base_url}{MCP_PATH}"

    async def landing(request: Request) -> Response:
        return container.pages.landing(request, endpoint, await _state(container))

    approvals = [*_passkey_routes(container, rates), *_approval_pages(container, rates).routes()]
    return [Route("/", landing), *container.pages.product.routes(), *approvals]


async def _state(container: Container) -> State:
    state, _ = await container.readiness.evaluate()
    try:
        is_full = await container.storage.reserve.is_reached()
    except StorageUnavailable:
        return "down"
    return "down" if state != "ok" else "full" if is_full else "ok"


def _approval_pages(container: Container, rates: ApprovalRates) -> ApprovalPages:
    """Return the pages where people send or discard what waits for them."""
    clock, proof = container.services.outgoing.delivery.ledger.clock, container.settings.m365_approval_proof
    ceremonies = _passkey_ceremonies(container) if proof == "passkey" else None
    return ApprovalPages(container.approvals, container.proofs, container.pages, proof, clock, rates, ceremonies)


def _passkey_ceremonies(container: Container) -> PasskeyCeremonies:
    """Return what people do with their passkeys."""
    clock, records = container.services.outgoing.delivery.ledger.clock, container.storage.records
    party = RelyingParty.at(container.settings.mcp_server_base_url, container.pages.product.name)
    challenges = PasskeyChallenges(records, clock)
    return PasskeyCeremonies(party, Passkeys(records, clock), challenges, container.audit.record, clock)


def _passkey_routes(container: Container, rates: ApprovalRates) -> list[Route]:
    """Return the routes of the page where people change their passkeys."""
    if container.settings.m365_approval_proof != "passkey":
        return []
    return PasskeyPages(_passkey_ceremonies(container), container.proofs, container.pages, rates).routes()


def _upload_routes(container: Container) -> list[Route]:
    if attach_files not in tools_for(
        container.settings.m365_toolsets, container.settings.m365_send_level, may_ask=False
    ):
        return []
    known, outgoing = container.services, container.services.outgoing
    receiver = UploadReceiver(
        known.uploads.links,
        known.tokens,
        known.graph,
        outgoing.delivery.slots,
        outgoing.rules,
        container.metrics,
        UploadSlots(on_refusal=container.metrics.limit_refusals.labels("upload_slots").inc),
        on_refusal=partial(_record_refused_file, container.audit),
    )
    return [upload_route(receiver, container.pages)]


def _record_refused_file(audit: AuditTrail, link: UploadLink, error: M365Error) -> None:
    audit.record(RefusedCall("upload", error.code, link.person, "", link.session_id, attachments=1))


def _allow_large_messages(inner: StarletteWithLifespan) -> None:
    # FastMCP 4.2 does not hand the SDK's max_request_body_size on, and 4 MiB cuts messages off with a bare 413
    # before the tool can explain. The session manager exists only once the lifespan has begun.
    route: Any = next(route for route in inner.routes if getattr(route, "path", None) == MCP_PATH)
    manager = route.endpoint.app.session_manager
    manager.asgi_app = limited_unless_read(manager.asgi_app.app, MAX_MCP_BODY)


def _start_metrics(container: Container) -> None:
    port = container.settings.mcp_metrics_port
    if not port:
        return
    try:
        container.metrics.listen(container.settings.mcp_host, port)
    except OSError:
        _log.warning("metrics_port_taken", port=port, advice="set MCP_METRICS_PORT to a free port, or 0 for none")


def _warn_of_free_mail(settings: Settings) -> None:
    internal = InternalDomains(settings.m365_internal_domains)
    free = unasked_free_mail(settings.m365_send_allowed_domains, settings.m365_send_approval, internal)
    if free:
        effect = "mail to anybody there leaves without approval, unless a policy forbids it"
        advice = "take these domains off M365_SEND_ALLOWED_DOMAINS, or set M365_SEND_APPROVAL=external"
        _log.warning("free_mail_is_allowed", domains=", ".join(free), effect=effect, advice=advice)
