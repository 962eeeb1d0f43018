"""The whole server and the simulator of Microsoft in this process: real parts, without sockets and processes."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from starlette.applications import Starlette
from starlette.types import ASGIApp

from m365_mcp import settings
from m365_mcp.app import assemble
from m365_mcp.container import Container, build_container
from m365_mcp.entra.on_behalf_of import Caller
from m365_mcp.person import PersonId
from m365_mcp.sending.origin import Origin
from m365_mcp.sending.outbox import Outbox, mailbox_of
from m365_simulator import Simulator, create_simulator
from m365_simulator.app import CLIENT_ID, CLIENT_SECRET, REDIRECT_URIS, TENANT_ID
from m365_simulator.keys import make_rsa_key
from tests.e2e.person import PersonAtBrowser
from tests.simulator.client import VERIFIER, challenge

SERVER, MICROSOFT, UPLOADS, CONTROL = (
    "http://localhost:8000",
    "https://localhost:8443",
    "https://localhost:8445",
    "http://127.0.0.1:8444",
)
ADA, GRACE = "ada@contoso.example", "grace@contoso.example"
CALLBACK = "http://localhost:33418/callback"
SETTINGS: dict[str, Any] = {
    "azure_client_id": CLIENT_ID,
    "azure_client_secret": CLIENT_SECRET,
    "azure_tenant_id": TENANT_ID,
    "azure_authority_host": MICROSOFT,
    "graph_base_url": MICROSOFT,
    "mcp_server_base_url": SERVER,
    "mcp_session_hours": 2,
    "redis_url": "memory://",
}
EVERY_TOOLSET = "drafts,replies,schedule,people,attachments"


class Network(httpx2.AsyncBaseTransport):
    """Carries a request to the application at its address; keeps every request to Microsoft."""

    def __init__(self, server: str = SERVER, **applications: ASGIApp) -> None:
        self.names = {server: "server", MICROSOFT: "microsoft", UPLOADS: "uploads", CONTROL: "control"}
        self.transports = {name: httpx2.ASGITransport(app) for name, app in applications.items()}
        self.seen: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        address = f"{request.url.scheme}://{request.url.netloc.decode()}"
        name = self.names[address]
        if name in ("microsoft", "uploads"):
            await request.aread()
            self.seen.append(request)
        return await self.transports[name].handle_async_request(request)

    def asked(self, *methods: str) -> list[str]:
        """Return method, path and query of every request to Graph, or of those with these methods."""
        graph = [one for one in self.seen if one.url.path.startswith("/v1.0/")]
        shown = ((one.method, one.url.raw_path.decode().removeprefix("/v1.0")) for one in graph)
        return [f"{method} {path}" for method, path in shown if not methods or method in methods]


@dataclass(frozen=True)
class Tokens:
    """What an MCP client holds after a sign-in."""

    client_id: str
    access: str
    refresh: str


class Person(PersonAtBrowser):
    """A person whose browser is in this process."""

    def __init__(self, network: Network, username: str) -> None:
        self.username = username
        self.pages: list[httpx2.Response] = []
        self._network = network
        self._cookies = httpx2.Cookies()

    def open(self) -> httpx2.AsyncClient:
        """Open the browser; its cookies outlive the window."""
        return httpx2.AsyncClient(transport=self._network, cookies=self._cookies)


@dataclass(frozen=True)
class World:
    """A server, the simulator it talks to, and the network between them."""

    container: Container
    simulator: Simulator
    network: Network
    server: Starlette

    def http(self) -> httpx2.AsyncClient:
        """Return an MCP client's connection to the server."""
        return httpx2.AsyncClient(transport=self.network, base_url=SERVER)

    async def control(self, method: str, path: str, body: object = None) -> Any:
        """Use the simulator's control plane."""
        async with httpx2.AsyncClient(transport=self.network, base_url=CONTROL) as http:
            response = await http.request(method, f"/_control/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    async def fault(self, where: dict[str, Any], what: dict[str, Any], **more: Any) -> None:
        """Have the simulator fail at the next request like this."""
        await self.control("POST", "faults", {"where": where, "what": what, **more})

    async def sent(self) -> list[dict[str, Any]]:
        """Return what counts as sent."""
        return list(await self.control("GET", "outbox"))

    async def register(self, **changes: Any) -> httpx2.Response:
        """Register a client, as any MCP client does."""
        body = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "client_name": "Claude", **changes}
        async with self.http() as http:
            return await http.post("/register", json=body)

    async def authorization(self, client_id: str = "", **changes: str) -> str:
        """Return the address at which a sign-in begins; registers a client, if none is given."""
        query = {
            "response_type": "code",
            "client_id": client_id or (await self.register()).json()["client_id"],
            "redirect_uri": CALLBACK,
            "state": secrets.token_hex(8),
            "scope": "mcp-access",
            "resource": f"{SERVER}/mcp",
            "code_challenge": challenge(),
            "code_challenge_method": "S256",
            **changes,
        }
        return str(httpx2.URL(f"{SERVER}/authorize", params=query))

    def person(self, username: str = ADA) -> Person:
        """Return a person with a browser of their own."""
        return Person(self.network, username)

    async def code(self, client_id: str, person: Person | None = None) -> str:
        """Have a person sign in, and return our authorization code."""
        target = await (person or self.person()).sign_in(await self.authorization(client_id))
        return dict(parse_qsl(urlsplit(target).query))["code"]

    async def token(self, **form: str) -> httpx2.Response:
        """Ask the token endpoint."""
        async with self.http() as http:
            return await http.post("/token", data=form)

    async def redeem(self, client_id: str, code: str, **changes: str) -> httpx2.Response:
        """Redeem our authorization code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "client_id": client_id}
        return await self.token(**{**form, "code_verifier": VERIFIER, "resource": f"{SERVER}/mcp", **changes})

    async def sign_in(self, username: str = ADA) -> Tokens:
        """Register a client, have the person sign in, and return the tokens."""
        client_id = (await self.register()).json()["client_id"]
        response = await self.redeem(client_id, await self.code(client_id, self.person(username)))
        assert response.status_code == 200, response.text
        found = response.json()
        return Tokens(client_id, found["access_token"], found["refresh_token"])

    async def outbox(self, tokens: Tokens) -> Outbox:
        """Return the outgoing mail of a signed-in person, as a tool gets it."""
        access = await self.container.auth.load_access_token(tokens.access)
        assert access is not None
        person, services = PersonId(access.claims["tid"], access.claims["oid"]), self.container.services
        caller = Caller(person, access.token, access.claims["session"], access.claims["groups"])
        mailbox = mailbox_of(services.graph, services.tokens, caller)
        origin = Origin(caller.session_id, access.client_id, access.claims["preferred_username"])
        return services.outgoing.outbox(person, mailbox, caller, origin)


def origin_of(url: str) -> str:
    """Return scheme and host of an address."""
    return url.removesuffix(urlsplit(url).path)


@cache
def _keys() -> tuple[RSAPrivateKey, ...]:
    """Return a few keys; making them is slow."""
    return tuple(make_rsa_key() for _ in range(2))


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[World]:
    """Run a server with these settings, and a simulator of its own; `clock` is that of the rate limits."""
    keys = iter(_keys() * 10)
    base = changes.get("mcp_server_base_url", SERVER)
    uris = (*REDIRECT_URIS, f"{base}/auth/callback")
    simulator = create_simulator(seed=1, make_key=lambda: next(keys), redirect_uris=uris)
    network = Network(
        origin_of(base), microsoft=simulator.microsoft, uploads=simulator.uploads, control=simulator.tester
    )
    clock = changes.pop("clock", time.monotonic)
    container = build_container(settings.load(**{**SETTINGS, **changes}), network)
    server = assemble(container, clock)
    network.transports["server"] = httpx2.ASGITransport(server)
    yield World(container, simulator, network, server)
    await container.close()
