"""The product's name, icon and help link, on every page and in MCP clients."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from m365_mcp import settings
from m365_mcp.app import build_server
from m365_mcp.container import build_container
from m365_mcp.errors import SettingsMistake
from m365_mcp.web.pages import Product
from tests.web.apps import IDS, consent, opened

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG = SIGNATURE + b"\0\0\0\rIHDR" + bytes(17) + b"\0\0\0\0IEND\xaeB`\x82"
SVG = b'<?xml version="1.0"?>\n<!-- by us -->\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


async def test_mcp_product_name_is_the_one_name_everywhere() -> None:
    """MCP_PRODUCT_NAME is on the landing, consent and error pages, and what MCP clients are told."""
    async with opened(mcp_product_name="Contoso <Mail>", mcp_help_url="https://help.example/x?a=1&b=2") as http:
        pages = [await http.get("/"), await consent(http), await http.get("/none")]
    container = build_container(settings.load(**IDS, redis_url="memory://", mcp_product_name="Contoso", _env_file=None))
    server = build_server(container)
    await container.close()

    assert all("<span>Contoso &lt;Mail&gt;</span>" in page.text for page in pages)
    assert all('href="https://help.example/x?a=1&amp;b=2">Help</a>' in page.text for page in pages)
    assert server.name == "Contoso"


@pytest.mark.parametrize(("content", "kind"), [(PNG, "image/png"), (SVG, "image/svg+xml")])
async def test_mcp_product_icon_is_served_and_shown(tmp_path: Path, content: bytes, kind: str) -> None:
    """MCP_PRODUCT_ICON is at one path and at /favicon.ico, in a sandbox, and pages below a path find it there."""
    icon = tmp_path / "icon"
    icon.write_bytes(content)
    async with opened(mcp_product_icon=icon, mcp_server_base_url="https://example.com/mail") as http:
        page = await http.get("/")
        served = [await http.get(path) for path in ("/icon", "/favicon.ico")]

    assert '<img src="/mail/icon"' in page.text
    assert [(one.content, one.headers["Content-Type"]) for one in served] == [(content, kind)] * 2
    assert all("sandbox" in one.headers["Content-Security-Policy"] for one in served)


@pytest.mark.parametrize(
    "content", [b"GIF89a", b"", b"<html><svg></svg></html>", SIGNATURE, PNG[:30], PNG + bytes(100 * 1024)]
)
def test_mcp_product_icon_that_is_none_is_refused_at_start(tmp_path: Path, content: bytes) -> None:
    """Another kind of file, the beginning of one, or a file of more than 100 KB, is a mistake in the settings."""
    icon = tmp_path / "icon"
    icon.write_bytes(content)

    with pytest.raises(SettingsMistake) as caught:
        settings.load(**IDS, mcp_product_icon=icon, _env_file=None)

    assert [name for name, _ in caught.value.mistakes] == ["MCP_PRODUCT_ICON"]


def test_icon_for_clients_is_a_data_url_only_while_it_is_small(tmp_path: Path) -> None:
    """MCP clients load a small icon from nowhere; a large one is not repeated in every session."""
    large = tmp_path / "icon.png"
    large.write_bytes(PNG + bytes(50_000))
    default = Product.of(settings.load(**IDS, _env_file=None))
    own = Product.of(
        settings.load(**IDS, mcp_product_icon=large, mcp_server_base_url="https://mcp.example.com", _env_file=None)
    )

    prefix, _, encoded = default.icon_for_clients().src.partition(",")
    assert (prefix, base64.b64decode(encoded)) == ("data:image/svg+xml;base64", default.icon)
    assert own.icon_for_clients().src == "https://mcp.example.com/icon"
