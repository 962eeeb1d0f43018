"""Host and Origin are compared with the public URL, also behind TLS termination."""

import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message

from m365_mcp import settings
from m365_mcp.web.origins import AllowedOrigins, HostOriginGuard, McpCors
from tests.ids import IDS


async def ask(path: str, headers: dict[str, str], **changes: object) -> int:
    """Return the status of a request that reaches the guard as plain HTTP, as it does behind an Ingress."""
    chosen = settings.load(**IDS, mcp_server_base_url="https://mcp.example.com", **changes)
    guard = HostOriginGuard(PlainTextResponse("in"), chosen)
    transport = httpx2.ASGITransport(app=guard)
    async with httpx2.AsyncClient(transport=transport, base_url="http://mcp.example.com") as client:
        return (await client.post(path, headers=headers)).status_code


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "MCP.Example.COM:443"}, 200),
        ({"Host": "mcp.example.com."}, 200),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "10.1.2.3:8000"}, 421),
        ({"Host": "mcp.example.com.evil.example"}, 421),
        ({"Host": "mcp.example.com@evil.example"}, 421),
        ({"Host": "[half"}, 421),
        ({"Host": "mcp.example.com/x"}, 421),
        ({"Host": "evil@mcp.example.com"}, 421),
        ({"Host": "mcp.example.com:0"}, 421),
        ({"Origin": "https://mcp.example.com"}, 200),
        ({"Origin": "https://mcp.example.com:443"}, 200),
        ({"Origin": "http://mcp.example.com"}, 403),
        ({"Origin": "https://mcp.example.com:8443"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost:6274"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://mcp.example.com.evil.example"}, 403),
        ({"Origin": "http://[half"}, 403),
    ],
)
async def test_only_what_was_meant_for_this_server_passes(headers: dict[str, str], status: int) -> None:
    """The public host and this machine's names pass, and pages of the public origin only."""
    assert await ask("/mcp", headers) == status


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/.well-known/oauth-protected-resource/mcp", "/icon"])
async def test_probes_metadata_and_icon_pass_with_any_host(path: str) -> None:
    """A probe by pod address, a metadata request from any page, and the icon of an error page are answered."""
    assert await ask(path, {"Host": "10.1.2.3:8000", "Origin": "https://evil.example"}) == 200


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://bücher.example", "xn--bcher-kva.example"),
        ("https://bücher.example", "bücher.example"),
        ("https://xn--bcher-kva.example.", "XN--BCHER-KVA.EXAMPLE:443"),
        ("https://mcp.example.com.", "mcp.example.com"),
        ("https://[FD00::A]", "[fd00::a]:443"),
    ],
)
async def test_f6_host_is_compared_in_its_normal_form(url: str, host: str) -> None:
    """Whatever spelling the operator and the client use, it is the same host."""
    headers = [(b"host", host.encode())]
    status = []
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": headers, "query_string": b""}

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        status.append(message.get("status"))

    await HostOriginGuard(PlainTextResponse("in"), settings.load(**IDS, mcp_server_base_url=url))(scope, receive, send)

    assert status[0] == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("null", 200),
        ("tauri://localhost", 200),
        ("app://obsidian.md", 200),
        ("app://another", 403),
        ("vscode-webview://0ab1c2", 200),
        ("https://xn--bcher-kva.example", 200),
        ("https://tools.example.com", 200),
        ("http://tools.example.com", 403),
        ("https://*", 403),
    ],
)
async def test_f18_origins_of_desktop_applications_can_be_allowed(origin: str, status: int) -> None:
    """The guard and CORS allow the same origins, in every spelling of the setting."""
    listed = "null, tauri://localhost,app://obsidian.md, vscode-webview://*, https://bücher.example, "
    changes = {"mcp_allowed_origins": f"{listed}HTTPS://Tools.example.com.:443"}
    chosen = settings.load(**IDS, mcp_server_base_url="https://mcp.example.com", **changes)
    transport = httpx2.ASGITransport(app=McpCors(PlainTextResponse("in"), chosen, "/mcp"))
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with httpx2.AsyncClient(transport=transport, base_url="https://mcp.example.com") as client:
        preflight = await client.options("/mcp", headers=asked)

    assert await ask("/mcp", {"Origin": origin}, **changes) == status
    assert preflight.headers.get("Access-Control-Allow-Origin") == (origin if status == 200 else None)


@pytest.mark.parametrize(
    ("origin", "is_local"),
    [
        ("http://localhost:6274", True),
        ("https://127.0.0.1", True),
        ("http://[::1]:80", True),
        ("http://localhost.evil.example", False),
        ("http://evil.example", False),
        ("http://127x0x0x1", False),
        ("null", False),
    ],
)
def test_pages_of_this_machine_may_use_a_server_on_this_machine(origin: str, is_local: bool) -> None:
    """A page on loopback counts as one of a local server's own."""
    local = settings.load(**IDS, mcp_server_base_url="http://localhost:8000")
    public = settings.load(**IDS, mcp_server_base_url="https://mcp.example.com")

    assert (origin in AllowedOrigins(local)) is is_local
    assert origin not in AllowedOrigins(public)


async def test_operator_can_add_hosts_and_origins() -> None:
    """What is configured is let through as well."""
    changes = {"mcp_allowed_hosts": ("inner.example.com",), "mcp_allowed_origins": ("https://tools.example.com",)}

    assert await ask("/mcp", {"Host": "inner.example.com"}, **changes) == 200
    assert await ask("/mcp", {"Origin": "https://tools.example.com"}, **changes) == 200
