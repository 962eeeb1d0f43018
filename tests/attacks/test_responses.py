"""C18: a whole run, of which every address, redirect, header and body that the server answers with is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

import httpx2
import pytest

from m365_simulator.app import CLIENT_SECRET, TENANT_ID
from tests.attacks.serving import call, post_mcp, serving
from tests.inprocess import CALLBACK, EVERY_TOOLSET, Tokens, World
from tests.web.test_approvals import reach

KEY = "a-signing-key-that-is-the-same-on-all-replicas"
STORE_KEY = "x5zbX0mGxW0Y8l0c0Q5oI8a4Pqk3oYw2mH6m3l7b8dE="
MARIE = "marie@fabrikam.example"
JWT = re.compile(r"eyJ[\w-]{10,}\.[\w-]+\.[\w-]*")
METADATA = (
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/",
    "/livez",
    "/readyz",
)


@dataclass
class Recorder(httpx2.AsyncBaseTransport):
    """Keeps what was asked of the server and what it answered."""

    inner: httpx2.AsyncBaseTransport
    seen: list[tuple[str, str, str]] = field(default_factory=list)  # path, address and headers, body

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self.inner.handle_async_request(request)
        body = await answer.aread()
        told = [str(request.url), *(f"{name}: {value}" for name, value in answer.headers.items())]
        self.seen.append((request.url.path, unquote("\n".join(told)), body.decode(errors="replace")))
        return answer


async def run(world: World) -> Tokens:
    """Sign in, refresh, use tools of every kind, open pages, and make mistakes; return the first tokens."""
    tokens = await world.sign_in()
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens.refresh, "client_id": tokens.client_id}
    access = (await world.token(**refresh)).json()["access_token"]
    mail = {"to": [MARIE], "subject": "Lunch?", "body": "At noon?"}
    held = await call(world, access, "send_mail", **mail)
    files = await call(world, access, "attach_files", **mail, files=[{"name": "a.txt"}])
    for tool in ("get_my_profile", "list_scheduled"):
        assert not (await call(world, access, tool)).get("isError")
    async with world.http() as http:
        http.headers["Accept"] = "text/html"
        page = await reach(http, held["structuredContent"]["approval_url"])
        pages = [page, *[await http.get(path) for path in ("/approvals", *METADATA)]]
        url = files["structuredContent"]["files"][0]["upload_url"]
        pages += [await http.get(url), await http.put(url, content=b"x")]
        wrong = [
            await http.get("/authorize", params={"client_id": tokens.client_id, "redirect_uri": CALLBACK}),
            await http.get("/auth/callback", params={"error": "server_error", "state": "x"}),
            await http.post("/token", data={**refresh, "client_id": "another"}),
            await http.post("/revoke", data={"token": tokens.access, "client_id": "another"}),
        ]
    await post_mcp(world, access + "x", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert [answer.status_code for answer in pages if answer.status_code >= 500] == []
    assert len(wrong) == 4
    return tokens


@pytest.mark.parametrize("mode", ["direct", "draft"])
async def test_c18_no_answer_of_a_whole_run_holds_a_secret(mode: str) -> None:
    """Keys and Microsoft's tokens are in none; our tokens are in bodies of /token only, the code in one redirect."""
    options = {"jwt_signing_key": KEY, "storage_encryption_key": STORE_KEY, "m365_send_approval": "external"}
    internal = {"m365_internal_domains": "contoso.example", "m365_toolsets": EVERY_TOOLSET}
    async with serving(**options, **internal, m365_send_mode=mode) as world:
        recorder = Recorder(world.network.transports["server"])
        world.network.transports["server"] = recorder  # type: ignore[assignment]
        await run(world)
        [session] = [one async for one in world.container.sign_ins.sessions.all()]
        sent_out = [request.headers.get("Authorization", "").partition(" ")[2] for request in world.network.seen]

    secrets = {CLIENT_SECRET, KEY, STORE_KEY, session.upstream.access_token, str(session.upstream.refresh_token)}
    secrets |= {token for token in sent_out if token}
    assert len(secrets) > 5
    for path, told, body in recorder.seen:
        assert [secret for secret in secrets if secret in told + body] == [], path
        assert JWT.findall(told) == [], path
        assert path == "/token" or JWT.findall(body) == [], path
        if path in METADATA:
            assert TENANT_ID not in told + body, path
            assert session.object_id not in told + body, path
    codes = [told for _, told, _ in recorder.seen if re.search(rf"location: {CALLBACK}\?.*code=", told)]
    links = [told for path, told, body in recorder.seen if "/upload/" in told.partition("\n")[0]]
    assert len(codes) == 1
    assert len(links) == 2  # the link that is a secret, for fifteen minutes, at its own address only
    assert [path for path, told, _ in recorder.seen if "/upload/" in told and "/upload/" not in path] == []
