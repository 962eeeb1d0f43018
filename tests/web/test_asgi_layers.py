"""Which layers a request to the MCP endpoint passes, so that none comes unnoticed; docs/architecture.md names them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.attacks.serving import HEADERS, call, post_mcp, serving
from tests.inprocess import SERVER
from tests.web.asgi_layers import layers_of

ROOT = Path(__file__).parents[2]
LAST = "StreamableHTTPASGIApp"  # FastMCP's endpoint; behind it is the call itself


def documented() -> list[str]:
    """Return the layers that the document names, in its order; two of one name are one row."""
    text = (ROOT / "docs/architecture.md").read_text()
    _, _, rows = text.partition("| Layer | Whose |")
    return re.findall(r"^\| `(\w+)` \|", rows.partition("\n\n")[0], re.MULTILINE)


async def test_call_passes_the_layers_that_the_document_names() -> None:
    """A call of a tool passes each layer of the document once, in that order, and no other."""
    async with serving(mcp_metrics_port=0) as world:
        token = (await world.sign_in()).access
        await call(world, token, "get_my_profile")
        with layers_of() as passed:
            await call(world, token, "get_my_profile")

    assert passed[: passed.index(LAST) + 1] == documented()
    assert "WholeBody" not in passed[passed.index(LAST) :]  # nobody measures the body a second time


async def test_repeated_list_of_tools_ends_before_fastmcps_endpoint() -> None:
    """The second list comes from memory: the session manager of the SDK is not asked."""
    question = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    async with serving(mcp_metrics_port=0) as world:
        token = (await world.sign_in()).access
        await post_mcp(world, token, question)
        with layers_of() as passed:
            await post_mcp(world, token, question)

    assert passed == documented()[: documented().index("ToolLists") + 1]


async def test_other_endpoints_keep_their_checks() -> None:
    """A request to the token endpoint passes the checks of OAuth, which the MCP endpoint does not need."""
    async with serving(mcp_metrics_port=0) as world, world.http() as http:
        with layers_of() as passed:
            await http.post(f"{SERVER}/token", data={"grant_type": "refresh_token"}, headers=HEADERS)

    assert {"OAuthBodies", "RateLimits"} < {*passed}
