"""How the product shows itself: its name, and its icon, which this server serves at one path and as /favicon.ico."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from importlib.resources import files

from mcp_types import Icon
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from m365_mcp.settings import Settings
from m365_mcp.settings.checks import icon_type

ICON_PATH = "/icon"
MAX_INLINE_BYTES = 8 * 1024  # a larger icon is not repeated in the answer to every `initialize`
# An SVG can contain scripts. Inside a page's <img> they never run; opened by itself it is in a sandbox without them.
_ICON_HEADERS = {
    "Cache-Control": "public, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Product:
    """What the operator calls this server and how it looks.

    Attributes:
        name: its name.
        icon: its icon, SVG or PNG.
        icon_type: the icon's media type.
        base_url: public URL of this server.
        base_path: path of the public URL, without a slash at its end.
        help_url: where people find help; None: no link.
    """

    name: str
    icon: bytes
    icon_type: str
    base_url: str
    base_path: str
    help_url: str | None

    @classmethod
    def of(cls, settings: Settings) -> Product:
        """Return the product as the settings describe it."""
        chosen = settings.mcp_product_icon or files(__package__).joinpath("templates", "icon.svg")
        icon = chosen.read_bytes()
        return cls(
            settings.mcp_product_name,
            icon,
            icon_type(icon) or "application/octet-stream",
            settings.mcp_server_base_url,
            settings.public_path,
            settings.mcp_help_url,
        )

    @property
    def icon_path(self) -> str:
        """The icon's address in pages."""
        return f"{self.base_path}{ICON_PATH}"

    def icon_for_clients(self) -> Icon:
        """Return the icon that MCP clients show: a small one as a data URL, so that they load it from nowhere."""
        encoded = base64.b64encode(self.icon).decode()
        inline = f"data:{self.icon_type};base64,{encoded}"
        src = inline if len(self.icon) <= MAX_INLINE_BYTES else f"{self.base_url}{ICON_PATH}"
        return Icon(src=src, mime_type=self.icon_type)

    def routes(self) -> list[Route]:
        """Return the routes of the icon."""

        async def show(_: Request) -> Response:
            return Response(self.icon, media_type=self.icon_type, headers=_ICON_HEADERS)

        return [Route(ICON_PATH, show), Route("/favicon.ico", show)]
