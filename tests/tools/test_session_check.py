"""Every tool that can write asks the store for the session; a tool is taken to write unless its hint says otherwise."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest

from m365_mcp.auth.mcp_tokens import RememberedAccess
from m365_mcp.tools import TOOLSETS, name_of, tools_for, writes
from m365_mcp.web.mcp_requests import LATE_SECONDS
from tests.attacks.serving import HEADERS, post_mcp, serving
from tests.e2e.programs import Redis
from tests.inprocess import EVERY_TOOLSET, Tokens, World
from tests.test_rolled_back_store import Lab, lab

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # py-key-value 0.4.6

ALL = {name_of(tool): writes(tool) for tool in tools_for(tuple(TOOLSETS), may_ask=True)}
DRAFTING = {name_of(tool): writes(tool) for tool in tools_for(tuple(TOOLSETS), "draft", may_ask=False)}
EVERY_TOOL = {**ALL, **DRAFTING}
MAIL: dict[str, Any] = {"to": ["grace@contoso.example"], "subject": "Figures", "body": "<p>Hi</p>"}


@asynccontextmanager
async def replicas(redis: Redis, **changes: Any) -> AsyncIterator[Lab]:
    """Two replicas whose MCP endpoints are at work, with every toolset and a long memory of sessions."""
    chosen = {"m365_toolsets": EVERY_TOOLSET, "mcp_session_cache_seconds": 30, "mcp_metrics_port": 0, **changes}
    async with lab(redis, **chosen) as two, AsyncExitStack() as stack:
        for world in (two.one, two.other):
            await stack.enter_async_context(world.server.router.lifespan_context(world.server))
        yield two


async def call(world: World, tokens: Tokens, tool: str, **arguments: Any) -> httpx2.Response:
    params = {"name": tool, "arguments": arguments}
    return await post_mcp(world, tokens.access, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})


async def listed(world: World, tokens: Tokens) -> int:
    reply = await post_mcp(world, tokens.access, {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})
    return reply.status_code


async def revoke(world: World, tokens: Tokens) -> None:
    async with world.http() as http:
        await http.post("/revoke", data={"token": tokens.access, "client_id": tokens.client_id})


def test_tools_that_write_are_those_that_are_named_here() -> None:
    """Whoever marks a tool as read-only comes by here: it may then run for seconds after the end of its session."""
    readers = {name for name, can_write in EVERY_TOOL.items() if not can_write}

    assert readers == {"get_my_profile", "list_messages", "list_scheduled", "find_people", "get_send_status"}


@pytest.mark.parametrize("level", ["send", "draft"])
async def test_session_that_ended_elsewhere_never_writes(redis: Redis, level: str) -> None:
    """Each tool that writes is one 401 with the reason, and no request to Graph; each other tool is let in."""
    tools, names = (ALL, {"m365_send_approval": "external"}) if level == "send" else (DRAFTING, {})
    async with replicas(redis, m365_send_level=level, **names) as two:
        for tool, can_write in [*tools.items(), ("no_such_tool", True)]:
            tokens = await two.one.sign_in()
            assert await listed(two.other, tokens) == 200
            await revoke(two.one, tokens)
            asked = len(two.other.network.seen)
            reply = await call(two.other, tokens, tool)

            assert (tool, reply.status_code) == (tool, 401 if can_write else 200)
            if can_write:
                assert "sign_in_needed: " in reply.headers["WWW-Authenticate"], tool
                assert "resource_metadata=" in reply.headers["WWW-Authenticate"], tool
                assert reply.json()["error"] == "invalid_token"
                assert len(two.other.network.seen) == asked
                assert await listed(two.other, tokens) == 401  # from now on the replica knows


@pytest.mark.parametrize("stateless", [True, False])
async def test_mail_of_a_session_that_ended_elsewhere_does_not_leave(redis: Redis, stateless: bool) -> None:
    """Also in a server that keeps MCP sessions; while the session lives, the same call sends."""
    async with replicas(redis, fastmcp_stateless_http=stateless) as two:
        tokens = await two.one.sign_in()
        post = await connected(two.other, tokens)
        sent = await post("send_mail", **MAIL)
        await revoke(two.one, tokens)
        read = await post("get_my_profile")
        refused = await post("send_mail", **{**MAIL, "subject": "Others"})

        assert [sent.status_code, read.status_code, refused.status_code] == [200, 200, 401]
        assert not sent.json()["result"].get("isError")
        assert len(await two.one.sent()) == 1


@pytest.mark.parametrize("seconds", [0, 2])
async def test_mail_whose_body_comes_after_the_end_of_the_session_does_not_leave(seconds: int) -> None:
    """A request that was let in before the end of the session brings its body afterwards, on the same replica."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "send_mail", "arguments": MAIL}}
    raw = json.dumps(message).encode()
    async with serving(mcp_metrics_port=0, mcp_session_cache_seconds=seconds) as world:
        tokens = await world.sign_in()

        async def late() -> AsyncIterator[bytes]:
            yield raw[:10]
            await asyncio.sleep(2 * LATE_SECONDS)
            await revoke(world, tokens)
            yield raw[10:]

        headers = {**HEADERS, "Authorization": f"Bearer {tokens.access}", "Content-Type": "application/json"}
        async with world.http() as http:
            reply = await http.post("/mcp", content=late(), headers=headers)

        assert reply.status_code == 401
        assert await world.sent() == []


async def test_call_that_is_cancelled_while_the_store_is_asked_is_no_sign_out(redis: Redis) -> None:
    """In a server that keeps MCP sessions, the client reads that its call was cancelled, and keeps its tokens."""
    async with replicas(redis, fastmcp_stateless_http=False) as two:
        tokens = await two.other.sign_in()
        post = await connected(two.other, tokens)
        await post("get_my_profile")
        redis.program.send(signal.SIGSTOP)
        try:
            sending = asyncio.create_task(post("send_mail", **MAIL))
            await asyncio.sleep(0.3)
            await post("", {"method": "notifications/cancelled", "params": {"requestId": 1}})
            reply = await sending
        finally:
            redis.program.send(signal.SIGCONT)

        assert reply.status_code == 200
        assert "error" in reply.json()
        assert await two.one.sent() == []


async def connected(world: World, tokens: Tokens) -> Callable[..., Any]:
    """Initialize, and return what calls a tool in that MCP session."""
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    begun = await post_mcp(world, tokens.access, {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
    headers = {name: value for name, value in begun.headers.items() if name == "mcp-session-id"}

    async def post(tool: str, notification: dict[str, Any] | None = None, **arguments: Any) -> httpx2.Response:
        called = {"id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        message = {"jsonrpc": "2.0", **(notification or called)}
        return await post_mcp(world, tokens.access, message, **headers)

    return post


async def test_tool_that_writes_acts_as_the_store_says(redis: Redis) -> None:
    """Entra's token that another replica has renewed is exchanged, and remembered for the calls that read."""
    async with replicas(redis) as two:
        tokens = await two.one.sign_in()
        old = [await two.other.container.auth.load_access_token(tokens.access) for _ in range(2)][1]
        sessions = two.one.container.sign_ins.sessions
        [session] = [one async for one in sessions.all()]
        await two.one.container.sign_ins.refresher.renew(session)
        assert not (await call(two.other, tokens, "send_mail", **MAIL)).json()["result"].get("isError")
        new = await two.other.container.auth.load_access_token(tokens.access)

        assert isinstance(old, RememberedAccess)
        assert isinstance(new, RememberedAccess)
        assert old.token != new.token
        forms = [dict(parse_qsl(request.content.decode())) for request in two.other.network.seen]
        assert [form["assertion"] for form in forms if "assertion" in form] == [new.token]


async def test_outage_of_the_store_lets_readers_in_and_no_writer(redis: Redis) -> None:
    """A tool that writes is told to come later, and keeps its sign-in: it is no 401."""
    async with replicas(redis) as two:
        tokens = await two.one.sign_in()
        await call(two.other, tokens, "get_my_profile")
        redis.program.send(signal.SIGSTOP)
        try:
            read = await call(two.other, tokens, "get_my_profile")
            sent = await call(two.other, tokens, "send_mail", **MAIL)
        finally:
            redis.program.send(signal.SIGCONT)

        assert [read.status_code, sent.status_code] == [200, 503]
        assert not read.json()["result"].get("isError")
        assert "storage_unavailable" in sent.text
        assert int(sent.headers["Retry-After"]) > 0
        assert await two.one.sent() == []
