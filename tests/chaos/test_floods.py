"""Strangers flood every public endpoint while people who are signed in send and refresh, with a small Redis."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
import redis as redis_py
import trustme

from m365_mcp.auth.client_metadata.documents import LENT_PLACES
from m365_mcp.web.oauth_requests import MAX_STATE
from tests.chaos.light_client import CALLBACK, Call, LightClient
from tests.chaos.tally import Tally
from tests.client_assertions import SIGNS, proof
from tests.document_host import DocumentHost, document, running_host, write_authorities
from tests.e2e.person import PersonAtBrowser
from tests.e2e.programs import Redis, Server, Simulator, make_redis, make_server

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8"),
]
MAXMEMORY = 64 * 1024 * 1024
WORST_STATE = "\x01" * MAX_STATE  # a control character takes the most room in the store
STORED_MB = 42  # of records that are there already
BEGUN = 600  # authorization requests: without limits, half of them fill what is left
# What a client sends with an assertion; that of a stranger must not be stored.
ASSERTED = {"/token": {"grant_type": "refresh_token", "refresh_token": "x"}, "/revoke": {"token": "x"}}
LENT = 800  # documents of strangers; if each were kept, they would take 16 MB
LARGEST = 2200  # characters of two bytes, which the store keeps as six: such a document has nearly 5 KB
ROOM_MB = 8  # for them, below the share of anonymous requests
OTHERS, SAME = ("127.0.1.2", "127.0.1.3", "127.0.1.4"), ("127.0.0.1",)
ROUNDS = 6
EACH_ITS_OWN = httpx2.Limits(max_keepalive_connections=0)  # a connection, so that none is closed while it is idle


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    redis = make_redis(tmp_path, "--maxmemory", str(MAXMEMORY), "--maxmemory-policy", "noeviction")
    redis.start()
    with redis_py.Redis.from_url(redis.url) as admin:
        for number in range(STORED_MB):
            admin.set(f"stored-{number}", b"x" * (1024 * 1024))
    yield redis
    redis.program.end(signal.SIGKILL)


@pytest.fixture
async def host(tmp_path: Path, simulator: Simulator) -> AsyncIterator[DocumentHost]:
    """The host of the metadata document of a stranger, who has a key."""
    authority = trustme.CA()
    write_authorities(tmp_path / "authorities.pem", authority, simulator.ready["ca_file"])
    async with running_host(authority) as host:
        host.answers["/client.json"] = document(host.url(), **SIGNS)
        yield host


@pytest.fixture
def server(tmp_path: Path, redis: Redis, simulator: Simulator, host: DocumentHost) -> Iterator[Server]:
    """A server that knows no proxy on this machine, so that each loopback address is a client of its own."""
    fetches = {"SSL_CERT_FILE": str(tmp_path / "authorities.pem"), "MCP_CIMD_ALLOWED_HOSTS": host.netloc}
    server = make_server(tmp_path, simulator, REDIS_URL=redis.url, MCP_TRUSTED_PROXIES="10.0.0.0/8", **fetches)
    server.start()
    yield server
    assert server.program.end() == 0


@dataclass
class Stranger:
    """Somebody at one address who asks as fast as the server answers.

    Attributes:
        http: asks from that address.
        document: the address of a metadata document with this stranger's key.
        audience: what its assertions are for.
        progress: is released several times in the course of the flood, for each person.
        statuses: what was answered, by path and status.
    """

    http: httpx2.AsyncClient
    document: str
    audience: str
    progress: asyncio.Semaphore
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)

    async def ask(self, method: str, path: str, **what: object) -> httpx2.Response:
        reply: httpx2.Response = await self.http.request(method, path, **what)  # type: ignore[arg-type]
        self.statuses[path, reply.status_code] += 1
        return reply

    async def flood(self, turns: Iterator[int]) -> None:
        """Flood all endpoints, a few requests at a time."""
        form = {"grant_type": "authorization_code", "code": "x", "code_verifier": "v" * 43, "redirect_uri": CALLBACK}
        registration = {"redirect_uris": [CALLBACK], "client_name": "f" * 9_000, "token_endpoint_auth_method": "none"}
        client_id = (await self.ask("POST", "/register", json={**registration, "client_name": "f"})).json()["client_id"]
        query = {"response_type": "code", "client_id": client_id, "redirect_uri": CALLBACK, "state": WORST_STATE}
        query |= {"code_challenge": "c" * 43, "code_challenge_method": "S256"}
        begun = await self.ask("GET", "/authorize", params={**query, "state": "s"})
        page = dict(httpx2.URL(begun.headers["Location"]).params)

        async def ask_on() -> None:
            for turn in turns:
                await self.ask("GET", "/authorize", params=query)
                if turn % (BEGUN // ROUNDS) == 0:
                    for _ in range(2):
                        self.progress.release()
                if turn % 8 == 0:
                    await self.ask("POST", "/register", json=registration)
                    await self.ask("GET", "/consent", params=page)
                    await self.ask("POST", "/token", data={**form, "client_id": client_id})
                    for path, grant in ASSERTED.items():
                        await self.ask("POST", path, data={**grant, **proof(self.document, self.audience)})
                    await self.ask("GET", "/auth/callback", params={"code": "x", "state": page["txn_id"]})

        await asyncio.gather(*(ask_on() for _ in range(4)))


@asynccontextmanager
async def strangers(
    server: Server, host: DocumentHost, addresses: tuple[str, ...], progress: asyncio.Semaphore
) -> AsyncIterator[list[Stranger]]:
    """Open connections from these addresses of this machine."""
    base_url = server.url.replace("localhost", "127.0.0.1")
    async with AsyncExitStack() as opened:
        found = []
        for address in addresses:
            transport = httpx2.AsyncHTTPTransport(local_address=address, limits=EACH_ITS_OWN)
            http = httpx2.AsyncClient(transport=transport, base_url=base_url, timeout=60)
            opened_http = await opened.enter_async_context(http)
            found.append(Stranger(opened_http, host.url(), f"{server.url}/token", progress))
        yield found


def mail(number: int) -> Call:
    body = {"to": ["grace@contoso.example"], "subject": f"Number {number}", "body": secrets.token_hex(8)}
    return "tools/call", {"name": "send_mail", "arguments": body}


async def work(client: LightClient, progress: asyncio.Semaphore) -> list[bool]:
    """Send and refresh several times in the course of the flood; return what succeeded."""
    done = []
    for number in range(ROUNDS):
        await progress.acquire()
        reply = await client.ask(mail(number))
        done.append(reply is not None and reply.status_code == 200 and not reply.json()["result"].get("isError"))
        done.append(await client.refresh() == "done")
    return done


@pytest.mark.full
@pytest.mark.parametrize("addresses", [OTHERS, SAME], ids=["from other addresses", "from the same address"])
async def test_b5_h3_flood_harms_nobody_who_is_signed_in(
    redis: Redis, server: Server, host: DocumentHost, simulator: Simulator, addresses: tuple[str, ...]
) -> None:
    """Every send and every refresh succeeds, Redis never runs out of memory, and the flood is refused."""
    progress, turns = asyncio.Semaphore(0), iter(range(BEGUN))
    async with (
        httpx2.AsyncClient(trust_env=False, timeout=60, limits=EACH_ITS_OWN) as http,
        strangers(server, host, addresses, progress) as many,
    ):
        people = [
            LightClient(http, server.url, PersonAtBrowser(simulator.ready["ca_file"], name), Tally())
            for name in ("ada@contoso.example", "grace@contoso.example")
        ]
        for client in people:
            await client.sign_in()
        flood = asyncio.gather(*(stranger.flood(turns) for stranger in many))
        done = await asyncio.gather(*(work(client, progress) for client in people))
        await flood
        afterwards = [await client.refresh() for client in people]

    statuses = sum((stranger.statuses for stranger in many), Counter[tuple[str, int]]())
    with redis_py.Redis.from_url(redis.url) as admin:
        memory, errors = admin.info("memory"), admin.info("errorstats")
        assertions = admin.keys("m365-client-assertions:*")
    assert done == [[True] * 2 * ROUNDS] * 2
    assert afterwards == ["done"] * 2
    assert len(simulator.outbox) == 2 * ROUNDS
    assert assertions == []
    assert statuses["/token", 401] + statuses["/token", 429] > BEGUN / 8
    assert statuses["/revoke", 200] + statuses["/revoke", 429] >= BEGUN // 8
    assert memory["used_memory_peak"] < MAXMEMORY
    assert "errorstat_OOM" not in errors
    assert statuses["/authorize", 302] > len(addresses)
    assert statuses["/authorize", 503] > 0
    assert statuses["/authorize", 503] + statuses["/authorize", 429] > BEGUN / 2
    assert statuses["/register", 503] > 0
    assert statuses["/consent", 429] > 0


@pytest.mark.full
async def test_f3_documents_of_strangers_stop_no_sign_in(
    redis: Redis, server: Server, host: DocumentHost, simulator: Simulator
) -> None:
    """F3: ever new documents, each as large in the store as one can be, take a fixed share; a new person signs in."""
    urls = iter([host.url(f"/{number}.json") for number in range(LENT)])
    query = {"response_type": "code", "redirect_uri": CALLBACK, "code_challenge": "c" * 43, "state": "s"}
    statuses = Counter[int]()
    address = httpx2.AsyncHTTPTransport(local_address=OTHERS[0], limits=EACH_ITS_OWN)
    base_url = server.url.replace("localhost", "127.0.0.1")

    async def begin(stranger: httpx2.AsyncClient) -> None:
        for url in urls:
            host.answers[httpx2.URL(url).path] = document(url, note="é" * LARGEST)
            reply = await stranger.get(
                "/authorize", params={**query, "code_challenge_method": "S256", "client_id": url}
            )
            statuses[reply.status_code] += 1

    with redis_py.Redis.from_url(redis.url) as admin:
        admin.delete(*(f"stored-{number}" for number in range(ROOM_MB)))
        before = admin.info("memory")["used_memory"]
        async with httpx2.AsyncClient(transport=address, base_url=base_url, timeout=60) as stranger:
            await asyncio.gather(begin(stranger), begin(stranger))
        taken = admin.info("memory")["used_memory"] - before
        lent = admin.keys("m365-client-metadata-lent:*")
    async with httpx2.AsyncClient(trust_env=False, timeout=60, limits=EACH_ITS_OWN) as http:
        person = PersonAtBrowser(simulator.ready["ca_file"], "ada@contoso.example")
        client = LightClient(http, server.url, person, Tally())
        await client.sign_in()

        assert await client.refresh() == "done"
    assert statuses == {302: LENT}
    assert 0 < len(lent) <= LENT_PLACES
    assert taken < ROOM_MB * 1024 * 1024 / 2
