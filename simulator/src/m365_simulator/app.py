"""Builds the simulator: the state, and the ASGI apps over it (two hosts of Microsoft's, and the tester's side)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from m365_simulator.app_registration import AppRegistration, Secret
from m365_simulator.control import control_routes
from m365_simulator.entra.authorize import authorize, choose_account, consent, log_out, prove
from m365_simulator.entra.discovery import instance, keys, metadata
from m365_simulator.entra.token import token
from m365_simulator.fault_injection import FaultInjection
from m365_simulator.graph.problems import GraphError, error_response, new_trace
from m365_simulator.graph.routes import graph_routes
from m365_simulator.graph.throttle import Throttle
from m365_simulator.keys import MakeKey, make_rsa_key
from m365_simulator.mailbox_page import mailbox_routes
from m365_simulator.observation import Observation
from m365_simulator.organizations import CONTOSO
from m365_simulator.outlook.upload import upload
from m365_simulator.people import Person
from m365_simulator.tenant import Directory, Tenant
from m365_simulator.tester_guard import TesterGuard

TENANT_ID = CONTOSO.id
CLIENT_ID = "66666666-7777-4888-9999-aaaaaaaaaaaa"
CLIENT_SECRET = "simulator~secret.for-trying-out"  # noqa: S105 - a sample, printed for everybody who tries it out
REDIRECT_URIS = ("http://localhost:8000/auth/callback",)


@dataclass(frozen=True, slots=True)
class Simulator:
    """The state, the apps that play Microsoft (serve both with TLS), and the app for the tester (plain HTTP).

    `uploads` stands for another host of Microsoft's, which takes large attachments.
    Call `close` before stopping a server.
    """

    tenant: Tenant
    microsoft: ASGIApp
    uploads: ASGIApp
    tester: ASGIApp
    closing: asyncio.Event

    def close(self) -> None:
        """End stalled responses and event streams, which would not end by themselves."""
        self.closing.set()
        self.tenant.mail.announce()


def create_simulator(
    *,
    authority: str = "https://localhost:8443",
    upload_authority: str = "https://localhost:8445",
    redirect_uris: tuple[str, ...] = REDIRECT_URIS,
    scope_name: str = "mcp-access",
    people: tuple[Person, ...] = (),
    hosts: tuple[str, ...] = ("localhost",),
    seed: int | None = None,
    read_clock: Callable[[], float] | None = None,
    make_key: MakeKey = make_rsa_key,
) -> Simulator:
    """Build a simulator for clients at these addresses; ValueError for a redirect URI that cannot be registered."""
    app = AppRegistration(CLIENT_ID, (Secret(CLIENT_SECRET),), redirect_uris, scope_name)
    directory = Directory(authority.rstrip("/"), app, upload_authority.rstrip("/"), people=people, seed=seed)
    tenant = Tenant(directory, read_clock=read_clock, make_key=make_key)
    closing = asyncio.Event()
    throttle = Throttle(tenant)
    return Simulator(
        tenant=tenant,
        microsoft=_microsoft(tenant, throttle, closing),
        uploads=_uploads(tenant, throttle, closing),
        tester=_tester(tenant, closing, hosts),
        closing=closing,
    )


def _microsoft(tenant: Tenant, throttle: Throttle, closing: asyncio.Event) -> ASGIApp:
    app = Starlette(
        routes=[*graph_routes(), *_entra_routes()], exception_handlers={404: _unknown_segment, 405: _wrong_method}
    )
    app.state.tenant = tenant
    app.state.throttle = throttle
    return Observation(FaultInjection(app, tenant, closing), tenant)


def _entra_routes() -> list[Route]:
    return [
        Route("/common/discovery/instance", instance),
        Route("/{tenant}/v2.0/.well-known/openid-configuration", metadata),
        Route("/{tenant}/.well-known/openid-configuration", metadata),
        Route("/{tenant}/discovery/v2.0/keys", keys),
        Route("/{tenant}/discovery/keys", keys),
        Route("/{tenant}/oauth2/v2.0/authorize", authorize),
        Route("/{tenant}/oauth2/v2.0/token", token, methods=["GET", "POST"]),
        Route("/{tenant}/oauth2/v2.0/logout", log_out),
        Route("/{tenant}/login", choose_account, methods=["POST"]),
        Route("/{tenant}/proof", prove, methods=["POST"]),
        Route("/{tenant}/consent", consent, methods=["POST"]),
    ]


def _uploads(tenant: Tenant, throttle: Throttle, closing: asyncio.Event) -> ASGIApp:
    app = Starlette(
        routes=[Route("/api/v2.0/{path:path}", upload, methods=["PUT", "GET", "DELETE"])],
        exception_handlers={404: _unknown_segment, 405: _wrong_method},
    )
    app.state.tenant = tenant
    app.state.throttle = throttle
    return Observation(FaultInjection(app, tenant, closing), tenant, whole_bodies=False)


def _tester(tenant: Tenant, closing: asyncio.Event, hosts: tuple[str, ...]) -> ASGIApp:
    app = Starlette(routes=[*control_routes(), *mailbox_routes()])
    app.state.tenant = tenant
    app.state.closing = closing
    return TesterGuard(app, hosts)


async def _unknown_segment(request: Request, _: Exception) -> Response:
    """Return the response to an unknown path: Graph's error below /v1.0 and for uploads, Entra's elsewhere."""
    if not _is_graph(request):
        return JSONResponse({"error": "not_found", "error_description": f"No such endpoint: {request.url.path}"}, 404)
    segment = request.url.path.rpartition("/")[2]
    return _graph_refusal(request, GraphError(400, "BadRequest", f"Resource not found for the segment '{segment}'."))


async def _wrong_method(request: Request, _: Exception) -> Response:
    if not _is_graph(request):
        return JSONResponse({"error": "invalid_request", "error_description": "Another HTTP method is needed."}, 405)
    return _graph_refusal(
        request, GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
    )


def _is_graph(request: Request) -> bool:
    return request.url.path.startswith(("/v1.0", "/beta", "/api/"))


def _graph_refusal(request: Request, problem: GraphError) -> Response:
    tenant: Tenant = request.app.state.tenant
    return error_response(problem, new_trace(tenant.clock.today(), request.headers))
