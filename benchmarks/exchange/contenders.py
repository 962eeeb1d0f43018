"""The two ways from a person's token to a Graph token: ours, and the one of FastMCP's `EntraOBOToken`.

Both are built the way a server builds them when it starts, from the same settings.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fastmcp.server.auth.providers.azure import AzureProvider
from key_value.aio.stores.memory import MemoryStore

from m365_mcp.container import build_container
from m365_mcp.entra.on_behalf_of import Caller
from m365_mcp.person import PersonId
from m365_mcp.settings import load
from m365_mcp.settings.clouds import CLOUDS, graph_scopes

SCOPES = graph_scopes(CLOUDS["global"], "")


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in; `assertion` is the access token the server holds for them."""

    tenant_id: str
    object_id: str
    assertion: str = field(repr=False)


class ClosedInUse(Exception):
    """A call failed because its credential had been evicted and closed by others; says what the call saw of it."""


Exchange = Callable[[Person], Awaitable[str]]
Contender = Callable[[Mapping[str, str]], AbstractAsyncContextManager[Exchange]]


@asynccontextmanager
async def ours(variables: Mapping[str, str]) -> AsyncIterator[Exchange]:
    """Be one replica of this project's server, with the store that all of them share."""
    container = build_container(load(_env_file=None, **{name.lower(): value for name, value in variables.items()}))

    async def exchange(person: Person) -> str:
        caller = Caller(PersonId(person.tenant_id, person.object_id), person.assertion)
        return (await container.services.tokens.on_behalf_of.graph_token(caller)).value

    try:
        yield exchange
    finally:
        await container.close()


@asynccontextmanager
async def fastmcps(variables: Mapping[str, str]) -> AsyncIterator[Exchange]:
    """Be one replica of a server that uses `EntraOBOToken`: its two steps, without the dependency around them."""
    provider = _azure_provider(variables)

    async def exchange(person: Person) -> str:
        credential = await provider.get_obo_credential(user_assertion=person.assertion)
        try:
            found = await credential.get_token(*SCOPES)
        except Exception as error:
            if any(credential is kept for kept in provider._obo_credentials.values()):
                raise
            raise ClosedInUse(f"{type(error).__name__}: credential closed while in use") from error
        return str(found.token)

    try:
        yield exchange
    finally:
        await provider.close_obo_credentials()


def _azure_provider(variables: Mapping[str, str]) -> AzureProvider:
    for name in ("aiohttp", "azure.identity.aio"):  # only .venv-bench has them
        importlib.import_module(name)  # now, because otherwise the first call would, and take longer for it
    return AzureProvider(
        client_id=variables["AZURE_CLIENT_ID"],
        client_secret=variables["AZURE_CLIENT_SECRET"],
        tenant_id=variables["AZURE_TENANT_ID"],
        base_authority=urlsplit(variables["AZURE_AUTHORITY_HOST"]).netloc,
        required_scopes=["mcp-access"],
        base_url="http://localhost:8000",
        client_storage=MemoryStore(),
    )


CONTENDERS: dict[str, Contender] = {"ours": ours, "FastMCP": fastmcps}
