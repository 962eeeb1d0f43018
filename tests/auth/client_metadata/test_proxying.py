"""Metadata documents through the operator's proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from m365_mcp.auth.client_metadata.clients import CLIENT_METADATA
from m365_mcp.auth.client_metadata.failures import error_of
from m365_mcp.auth.client_metadata.fetcher import Fetcher, FetchFailed, HostRefused
from m365_mcp.auth.client_metadata.hosts import HostRules
from m365_mcp.auth.client_metadata.proxying import DocumentClients
from m365_mcp.trust import trust_of


@asynccontextmanager
async def refusing_proxy(asked: list[str], status: str = "403 Forbidden") -> AsyncIterator[str]:
    """Run a proxy that notes what it is asked for and connects to nothing; yield its address."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[0])
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def failure_of(url: str) -> FetchFailed:
    clients = DocumentClients(trust_of(None), HostRules())
    try:
        with pytest.raises(FetchFailed) as caught:
            await Fetcher(clients.client_for, HostRules()).fetch(url, CLIENT_METADATA)
    finally:
        await clients.close()
    return caught.value


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_f2_documents_are_fetched_through_the_operators_proxy(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The proxy gets the name, and resolves it; this server asks DNS for nothing but the proxy."""
    asked: list[str] = []
    async with refusing_proxy(asked) as address:
        monkeypatch.setenv(variable, address)

        failure = await failure_of("https://client.invalid/client.json")

    assert asked == ["CONNECT client.invalid:443 HTTP/1.1"]
    assert failure.reason == "proxy_403"


async def test_f1_refusal_of_the_proxy_is_no_failure_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """F1: the log has the proxy's status, and the answer tells the operator about the proxy."""
    async with refusing_proxy([], "407 Proxy Authentication Required") as address:
        monkeypatch.setenv("HTTPS_PROXY", address)

        failure = await failure_of("https://client.invalid/client.json")
    error = error_of(failure, "client.invalid", "metadata document")

    assert failure.reason == "proxy_407"
    assert "proxy" in error.sentence
    assert "(status 407)" in error.sentence
    assert "HTTPS_PROXY" in error.advice
    assert (error.needs_administrator, error.for_person) == (True, None)


async def test_f2_host_of_no_proxy_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that NO_PROXY names is looked up here, and its address is checked."""
    asked: list[str] = []
    async with refusing_proxy(asked) as address:
        monkeypatch.setenv("HTTPS_PROXY", address)
        monkeypatch.setenv("NO_PROXY", "client.invalid")

        failure = await failure_of("https://client.invalid/client.json")

    assert asked == []
    assert failure.reason in ("dns", "timeout")  # as fast as the machine's name server is


@pytest.mark.parametrize("host", ["127.0.0.1", "168.63.129.16", "[::ffff:10.0.0.1]", "localhost", "a.example:22"])
async def test_h12_proxy_is_not_asked_for_what_the_url_itself_forbids(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Addresses, this machine and other ports are refused before the proxy is asked."""
    asked: list[str] = []
    async with refusing_proxy(asked) as address:
        monkeypatch.setenv("HTTPS_PROXY", address)

        failure = await failure_of(f"https://{host}/client.json")

    assert asked == []
    assert isinstance(failure, HostRefused)
