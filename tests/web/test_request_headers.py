"""Headers in the spelling that FastMCP and the SDK read."""

from __future__ import annotations

import httpx2
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from m365_mcp.web.request_headers import RequestHeaders


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the headers as they arrived."""
    headers = Headers(scope=scope)
    await JSONResponse([headers["mcp-name"], headers["x-inside"]])(scope, receive, send)


async def test_l4_white_space_around_a_value_is_no_part_of_it() -> None:
    """RFC 9110 section 5.5: `Mcp-Name: send_mail ` names send_mail, and white space inside a value stays."""
    sent = [(b"Mcp-Name", b" \t send_mail \t"), (b"X-Inside", b"a  b")]
    transport = httpx2.ASGITransport(RequestHeaders(echo, "/mcp"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://a") as http:
        answer = await http.post("/mcp", headers=sent)

    assert answer.json() == ["send_mail", "a  b"]
