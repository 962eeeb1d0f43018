"""Lists of tools that are answered a second time: the same as the first, and only where nothing could differ."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from tests.attacks.serving import HEADERS, serving
from tests.inprocess import World
from tests.web.asgi_layers import layers_of

OLD, MODERN = "2025-11-25", "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
FORMS: list[tuple[str, dict[str, Any]]] = [
    (OLD, {}),
    (OLD, {"cursor": None}),
    (OLD, {"cursor": "bm9uZQ=="}),
    ("2024-11-05", {}),
    (MODERN, {"_meta": META}),
]


class Lister:
    """A client of one person that asks for the list of tools."""

    def __init__(self, world: World, access: str) -> None:
        self._world = world
        self._access = access

    async def ask(self, version: str, params: Any, request_id: Any = 1, **more: str) -> httpx2.Response:
        modern = {"mcp-method": "tools/list"} if version == MODERN else {}
        headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": version, **modern}
        headers |= {"Authorization": f"Bearer {self._access}"} | {
            name.replace("_", "-"): text for name, text in more.items()
        }
        body = {"jsonrpc": "2.0", "id": request_id, "method": "tools/list", "params": params}
        async with self._world.http() as http:
            return await http.post("/mcp", json=body, headers=headers)


@asynccontextmanager
async def listing() -> AsyncIterator[tuple[World, Lister]]:
    """Run a server with many tools, at which Ada is signed in."""
    async with serving(m365_toolsets="drafts,replies,people", mcp_metrics_port=0) as world:
        yield world, Lister(world, (await world.sign_in()).access)


@pytest.mark.parametrize(("version", "params"), FORMS)
async def test_second_answer_is_the_first_with_another_id(version: str, params: Any) -> None:
    """Status, headers and body of a repeat are those of FastMCP, whatever the revision, the page and the id."""
    async with listing() as (_, ada):
        first = await ada.ask(version, params, 1)
        for request_id in (2, "two", "zwei-ü", 'a"b\\c', 2**60):
            again = await ada.ask(version, params, request_id)

            assert again.status_code == first.status_code
            assert again.json() == {**first.json(), "id": request_id}
            assert {**again.headers, "content-length": ""} == {**first.headers, "content-length": ""}


async def test_revisions_are_not_mixed() -> None:
    """A client of one revision never gets the answer to a client of another."""
    async with listing() as (_, ada):
        answers = {version: (await ada.ask(version, params)).json() for version, params in (FORMS[0], FORMS[4]) * 2}

        assert "ttlMs" in answers[MODERN]["result"]
        assert "ttlMs" not in answers[OLD]["result"]


async def test_refusal_is_not_remembered_and_not_skipped() -> None:
    """After a good answer, a token that is none still gets 401, and a wrong header still its own error."""
    async with listing() as (world, ada):
        await ada.ask(OLD, {})

        assert (await Lister(world, "rubbish").ask(OLD, {})).status_code == 401
        assert (await ada.ask(OLD, {}, accept="text/html")).status_code == 406
        assert (await ada.ask(OLD, {}, content_type="text/plain")).status_code == 415
        assert (await ada.ask(OLD, {}, None)).status_code == 400
        assert (await ada.ask(OLD, {})).status_code == 200


async def test_client_that_reads_only_events_gets_them_again() -> None:
    """The remembered answer goes through the same layers on its way out."""
    async with listing() as (_, ada):
        answers = [await ada.ask(OLD, {}, accept="text/event-stream") for _ in range(2)]

        assert [answer.headers["content-type"] for answer in answers] == ["text/event-stream"] * 2
        assert answers[0].text == answers[1].text


async def test_list_of_one_person_serves_another() -> None:
    """Tools depend on the server's settings; the second person's request does not reach FastMCP's session manager."""
    async with listing() as (world, ada):
        await ada.ask(OLD, {})
        grace = Lister(world, (await world.sign_in("grace@contoso.example")).access)

        with layers_of() as passed:
            await grace.ask(OLD, {}, 7)

        assert passed[-1] == "ToolLists"


async def test_list_with_deeply_nested_parameters_is_answered() -> None:
    """What the parser still reads at this depth may be too deep to be written again."""
    async with serving(mcp_metrics_port=0, m365_send_approval="external") as world:
        headers = {**HEADERS, "Authorization": f"Bearer {(await world.sign_in()).access}"}
        statuses = set()
        async with world.http() as http:
            for depth in range(900, 1000):
                params = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
                raw = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":' + params + b"}"
                reply = await http.post("/mcp", content=raw, headers={**headers, "Content-Type": "application/json"})
                statuses.add(reply.status_code)

    assert statuses <= {200, 400}
