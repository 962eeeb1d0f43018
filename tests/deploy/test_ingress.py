"""The whole sign-in and both tools through a real nginx, two servers and a real Redis, in every layout we ship."""

import asyncio
import signal
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from tests.deploy.nginx import NGINX, Location, from_ingresses, from_route, make_proxy
from tests.e2e.person import Assistant, PersonAtBrowser, PersonOAuth, text_of
from tests.e2e.programs import (
    Redis,
    Server,
    Simulator,
    end_all,
    forget_sends,
    make_server,
    start_simulator,
)

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif(NGINX is None, reason="no nginx on this machine: apt-get install nginx-light"),
]

MAIL = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "Hi"}
LAYOUTS: dict[str, tuple[str, Callable[[], list[Location]]]] = {
    "root host, one Ingress": ("", lambda: from_ingresses("ingress.yaml")),
    "root host, HTTPRoute": ("", lambda: from_route("overlays/gateway-api/httproute.yaml")),
    "sub-path stripped by the three Ingresses": ("/mcp-o365", lambda: from_ingresses("overlays/sub-path/ingress.yaml")),
    "sub-path passed on by one HTTPRoute": (
        "/mcp-o365",
        lambda: from_route("overlays/gateway-api/httproute-sub-path.yaml"),
    ),
}


class Cluster:
    """nginx, two replicas, Redis and the simulator, under one public https address."""

    def __init__(self, folder: Path, simulator: Simulator, redis: Redis, layout: str, **settings: str) -> None:
        self.prefix, locations = LAYOUTS[layout]
        self.simulator = simulator
        self.proxy = make_proxy(folder)
        self.host = f"https://localhost:{self.proxy.port}"
        self.url = f"{self.host}{self.prefix}"
        simulator.control("PATCH", "app", redirect_uris=[f"{self.url}/auth/callback"])
        settings |= {"MCP_SERVER_BASE_URL": self.url, "REDIS_URL": redis.url}
        self.replicas = [make_server(folder, simulator, **settings) for _ in range(2)]
        for replica in self.replicas:
            replica.start()
        state = Path(simulator.ready["ca_file"]).parent
        ports = [int(replica.url.rpartition(":")[2]) for replica in self.replicas]
        self.proxy.start(locations(), ports, state / "server.pem", state / "server.key")
        self.trust = ssl.create_default_context(cafile=simulator.ready["ca_file"])

    def client(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
        **_: Any,
    ) -> httpx2.AsyncClient:
        """Return an HTTP client that trusts the proxy's certificate."""
        return httpx2.AsyncClient(
            verify=self.trust, trust_env=False, headers=headers, timeout=timeout or httpx2.Timeout(30), auth=auth
        )

    async def call(self, assistant: Assistant, tool: str, arguments: dict[str, Any] | None = None) -> Any:
        """Call a tool through the proxy, signing in if need be."""
        oauth = PersonOAuth(assistant.person, assistant.storage)
        oauth.httpx_client_factory = self.client
        transport = StreamableHttpTransport(f"{self.url}/mcp", auth=oauth, httpx_client_factory=self.client)
        async with Client(transport) as client:
            result = await client.call_tool(tool, arguments or {}, raise_on_error=False)
        assistant.sign_ins += oauth.sign_ins
        return result

    def assistant(self, person: PersonAtBrowser | None = None) -> Assistant:
        return Assistant(self.url, person or PersonAtBrowser(self.simulator.ready["ca_file"]))


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    found = start_simulator(tmp_path_factory.mktemp("simulator"))
    found.program.shared = True
    yield found
    assert found.program.end() == 0


@pytest.fixture(autouse=True)
def clean(simulator: Simulator, redis: Redis) -> Iterator[None]:
    """Start each test with a fresh simulator and an empty ledger, and end what it started."""
    simulator.control("POST", "reset")
    forget_sends(redis)
    yield
    end_all(shared=False)


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_whole_job_works_through_the_proxy(
    simulator: Simulator, redis: Redis, tmp_path: Path, layout: str
) -> None:
    """Discovery, registration, sign-in and both tools work over two replicas, and every source check answers."""
    cluster = Cluster(tmp_path, simulator, redis, layout)
    ada = cluster.assistant()

    sent = await cluster.call(ada, "send_mail", MAIL)
    profile = await cluster.call(ada, "get_my_profile")

    assert not sent.is_error, text_of(sent)
    assert profile.structured_content["displayName"] == "Ada Lovelace"
    assert [message["subject"] for message in simulator.outbox] == ["Hello"]
    assert ada.sign_ins == 1
    await _checks_of_the_source(cluster)


async def _checks_of_the_source(cluster: Cluster) -> None:
    """HEAD and POST of the endpoint, and the two metadata documents, as the deployment chapter lists them."""
    resource = f"{cluster.host}/.well-known/oauth-protected-resource{cluster.prefix}/mcp"
    async with cluster.client() as http:
        head = await http.head(f"{cluster.url}/mcp")
        post = await http.post(f"{cluster.url}/mcp", json={})
        protected = await http.get(resource)
        server = await http.get(f"{cluster.host}/.well-known/oauth-authorization-server{cluster.prefix}")
        slash = await http.post(f"{cluster.url}/mcp/", json={})
    assert head.status_code == 405
    assert (post.status_code, slash.status_code) == (401, 401)
    assert f'resource_metadata="{resource}"' in post.headers["WWW-Authenticate"]
    assert protected.json()["resource"] == f"{cluster.url}/mcp"
    issuer = cluster.url if cluster.prefix else f"{cluster.url}/"
    assert protected.json()["authorization_servers"] == [issuer]
    assert server.json()["issuer"] == issuer
    assert server.json()["token_endpoint"] == f"{cluster.url}/token"


async def test_replica_killed_in_the_middle_of_a_sign_in_loses_nobody(
    simulator: Simulator, redis: Redis, tmp_path: Path
) -> None:
    """Each replica dies once while a person signs in: after the consent page, and after Entra's redirect."""
    cluster = Cluster(tmp_path, simulator, redis, "sub-path stripped by the three Ingresses")
    killed: list[Server] = []

    class Unlucky(PersonAtBrowser):
        """A person during whose sign-in the replicas are killed and started again, one after the other."""

        async def _fill_in(self, http: httpx2.AsyncClient, page: httpx2.Response) -> httpx2.Response:
            reply = await super()._fill_in(http, page)
            step = len(self.pages)
            if step in (2, 4):
                first, second = cluster.replicas if step == 2 else reversed(cluster.replicas)
                second.start() if second.program.process is None or second.program.process.poll() is not None else None
                await asyncio.to_thread(first.program.end, signal.SIGKILL)
                killed.append(first)
            return reply

    ada = cluster.assistant(Unlucky(simulator.ready["ca_file"]))

    result = await cluster.call(ada, "send_mail", MAIL)

    assert killed == cluster.replicas
    assert not result.is_error, text_of(result)
    assert ada.sign_ins == 1
    assert len(simulator.outbox) == 1


async def test_two_servers_on_one_host_do_not_share_cookies(simulator: Simulator, redis: Redis, tmp_path: Path) -> None:
    """One browser that has two sign-ins open at two servers of one host finishes both."""
    names = {}
    for prefix in ("/mcp-o365", "/mcp-other"):
        server = make_server(tmp_path, simulator, REDIS_URL=redis.url, MCP_SERVER_BASE_URL=f"https://localhost{prefix}")
        server.start()
        names[prefix] = await _cookies_of(server)
        server.program.end()

    assert all(name.startswith("__Host-") for found in names.values() for name in found)
    assert not names["/mcp-o365"] & names["/mcp-other"]


async def _cookies_of(server: Server) -> set[str]:
    """Return the kinds of cookies a server sets on its consent page, without what differs from page to page."""
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as http:
        registration = {"redirect_uris": ["http://localhost:9/callback"]}
        client_id = (await http.post("/register", json=registration)).json()["client_id"]
        query = {"client_id": client_id, "redirect_uri": "http://localhost:9/callback", "response_type": "code"}
        challenge = {"code_challenge": "x" * 43, "code_challenge_method": "S256"}
        consent = (await http.get("/authorize", params=query | challenge)).headers["Location"]
        page = await http.get(f"/consent?{consent.partition('?')[2]}")
    return {cookie.partition("=")[0].rpartition("_")[0] for cookie in page.headers.get_list("set-cookie")}


async def test_events_are_not_held_back_by_the_proxy(simulator: Simulator, redis: Redis, tmp_path: Path) -> None:
    """With sessions switched on, the event stream's head arrives while the stream is still open."""
    cluster = Cluster(tmp_path, simulator, redis, "root host, one Ingress", FASTMCP_STATELESS_HTTP="false")
    await asyncio.to_thread(cluster.replicas.pop().program.end)  # a session lives in one process
    ada = cluster.assistant()
    assert not (await cluster.call(ada, "get_my_profile")).is_error
    headers = {
        "Authorization": f"Bearer {await ada.token()}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-11-25",
    }
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    async with cluster.client(headers=headers) as http:
        hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        session = (await http.post(f"{cluster.url}/mcp", json=hello)).headers["Mcp-Session-Id"]
        async with http.stream("GET", f"{cluster.url}/mcp", headers={"Mcp-Session-Id": session}) as stream:
            first = await asyncio.wait_for(anext(stream.aiter_raw()), 25)  # the keep-alive comes every 15 seconds

    assert stream.headers["Content-Type"].startswith("text/event-stream")
    assert first
