"""Paths: with the prefix of the public URL or without it, in old spellings and new ones."""

import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from m365_mcp.web.discovery import Discovery
from m365_mcp.web.request_paths import RequestPaths


async def served_path(prefix: str, asked: str) -> str:
    """Return the path the application sees, or the status when it sees none."""

    async def tell(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["path"])(scope, receive, send)

    transport = httpx2.ASGITransport(app=RequestPaths(Discovery(tell, prefix, "/mcp"), prefix))
    async with httpx2.AsyncClient(transport=transport, base_url="http://host.example") as client:
        # An absolute URL, because `//mcp` alone would name a host.
        reply = await client.get(f"http://host.example{asked}")
    return reply.text if reply.status_code == 200 else str(reply.status_code)


PRM, AS = "/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server"
OIDC = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        # The prefix is stripped or passed on; both are the same request.
        ("/mcp", "/mcp"),
        ("/mcp/", "/mcp"),
        ("/o365/mcp", "/mcp"),
        ("/o365/mcp/", "/mcp"),
        ("/o365/authorize", "/authorize"),
        ("/o365/auth/callback", "/auth/callback"),
        ("/o365", "/"),
        ("/o365/", "/"),
        ("/o365/livez", "/livez"),
        # A slash too many is passed over (F13).
        ("//mcp", "/mcp"),
        ("/mcp//", "/mcp"),
        ("/o365//mcp", "/mcp"),
        ("//o365/mcp/", "/mcp"),
        ("//authorize", "/authorize"),
        ("/token/", "/token"),
        (f"{PRM}/o365/mcp/", f"{PRM}/o365/mcp"),
        (f"{PRM}/", f"{PRM}/o365/mcp"),
        (f"/{AS}", AS),
        (f"/o365/{AS}", AS),
        (f"/o365//{OIDC}/", OIDC),
        (f"{AS}//o365", AS),
        # What only begins like the prefix is something else.
        ("/o365more/mcp", "/o365more/mcp"),
        # The protected resource metadata: as published, at the root, appended, and after a proxy's rewrite.
        (f"{PRM}/o365/mcp", f"{PRM}/o365/mcp"),
        (f"{PRM}/o365", f"{PRM}/o365/mcp"),
        (f"{PRM}/mcp", f"{PRM}/o365/mcp"),
        (PRM, f"{PRM}/o365/mcp"),
        (f"/o365{PRM}", f"{PRM}/o365/mcp"),
        (f"/o365{PRM}/mcp", f"{PRM}/o365/mcp"),
        (f"/o365/mcp{PRM}", f"{PRM}/o365/mcp"),
        # The authorization server metadata: inserted, appended, bare, and under its OpenID name.
        (f"{AS}/o365", AS),
        (f"{AS}/o365/mcp", AS),
        (AS, AS),
        (f"/o365{AS}", AS),
        (f"{OIDC}/o365", OIDC),
        (f"/o365{OIDC}", OIDC),
        (f"/o365/mcp{OIDC}", OIDC),
        # What does not exist is a JSON 404 and reaches nobody.
        (f"{AS}/another", "404"),
        ("/.well-known/nothing", "404"),
        ("/o365/.well-known/nothing", "404"),
    ],
)
async def test_server_with_a_prefix_answers_at_every_path(asked: str, served: str) -> None:
    """One public URL with a path, every proxy and every client."""
    assert await served_path("/o365", asked) == served


@pytest.mark.parametrize(
    ("asked", "served"),
    [(PRM, f"{PRM}/mcp"), (f"{PRM}/mcp", f"{PRM}/mcp"), (f"{AS}/mcp", AS), (f"/mcp{OIDC}", OIDC), (f"{AS}/x", "404")],
)
async def test_server_at_the_root_answers_at_every_path(asked: str, served: str) -> None:
    """Without a prefix the same spellings work."""
    assert await served_path("", asked) == served


@pytest.mark.parametrize("asked", [f"{PRM}/a%20b/%C3%A4/mcp", f"{PRM}/a b/ä/mcp/", PRM, f"/a%20b/%C3%A4{PRM}"])
async def test_f6_prefix_with_escapes_is_served_under_fastmcps_spelling(asked: str) -> None:
    """A server sees the decoded path, and FastMCP's route has the escapes."""
    assert await served_path("/a b/ä", asked) == f"{PRM}/a%20b/%C3%A4/mcp"
    assert await served_path("/a b/ä", "/a%20b/%C3%A4/authorize") == "/authorize"
