"""How often a refresh of a client with a metadata document asks the store."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict
from typing import Any

import pytest
import redis as redis_py
from fastmcp.server.auth.cimd import CIMDDocument, CIMDFetcher, CIMDFetchError
from fastmcp.server.auth.oauth_proxy.models import ProxyDCRClient
from pydantic import AnyUrl

from m365_mcp.auth.client_metadata.clients import CLIENT_METADATA
from m365_mcp.auth.client_metadata.documents import Entry
from m365_mcp.storage.records import ABSENT
from tests import client_assertions
from tests.e2e.programs import Redis
from tests.inprocess import CALLBACK, SERVER, World, running

CLIENT = "https://client.example/client.json"
COMMANDS = ("get", "set", "del", "exec")
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # py-key-value 0.4.6


async def know(world: World, **members: Any) -> None:
    """Have the store know the client's document, so that it need not be fetched."""
    content = {"client_id": CLIENT, "client_name": "Client", "redirect_uris": [CALLBACK], **members}
    content["grant_types"] = ["authorization_code", "refresh_token"]
    key, entry = hashlib.sha256(CLIENT.encode()).hexdigest(), asdict(Entry(content, time.time(), time.time() + 3600))
    await world.container.storage.records.compare_and_swap(CLIENT_METADATA.name, key, ABSENT, entry, 3600)


@pytest.mark.parametrize(("signs", "more"), [(False, 0), (True, 1)], ids=["public", "signing"])
async def test_refresh_reads_the_document_once_and_no_registration(redis: Redis, signs: bool, more: int) -> None:
    """Document, session and its comparison; lease, session, end of the lease; and once each for an assertion."""
    with redis_py.Redis.from_url(redis.url) as admin:
        admin.flushall()
        async with running(redis_url=redis.url) as world:
            await know(world, **(client_assertions.SIGNS if signs else {}))
            proof = [client_assertions.proof(CLIENT, f"{SERVER}/token") if signs else {} for _ in range(2)]
            fields = [{**one, "client_id": CLIENT} for one in proof]
            tokens = (await world.redeem(code=await world.code(CLIENT), **fields[0])).json()
            admin.config_resetstat()
            renewed = await world.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"], **fields[1])
            stats: dict[str, Any] = admin.info("commandstats")

    counted = {command: stats[f"cmdstat_{command}"]["calls"] for command in COMMANDS}
    assert renewed.status_code == 200
    assert counted == {"get": 3 + more, "set": 2 + more, "del": 1, "exec": 1}


class Away(CIMDFetcher):
    """FastMCP's fetcher, for which no host answers."""

    async def fetch(self, client_id_url: str) -> CIMDDocument:
        raise CIMDFetchError("no answer")


@pytest.mark.parametrize(("days", "counts"), [(1, True), (31, False)])
async def test_registration_that_an_older_fastmcp_made_of_a_document_counts_for_thirty_days(
    days: int, counts: bool
) -> None:
    """FastMCP once stored the clients of documents, and their people go on, as without it."""
    async with running() as world:
        manager = world.container.auth._cimd_manager
        assert manager is not None
        manager._fetcher = Away()
        before = await world.container.auth.get_client(CLIENT)
        old = ProxyDCRClient(client_id=CLIENT, redirect_uris=[AnyUrl(CALLBACK)], client_name="Old")
        old.cimd_fetched_at = time.time() - days * 24 * 3600
        await world.container.auth._client_store.put(key=CLIENT, value=old)
        found = await world.container.auth.get_client(CLIENT)

    assert before is None
    assert (found is not None and found.client_name == "Old") is counts
