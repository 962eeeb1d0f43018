"""The server object for `fastmcp dev inspector` and `fastmcp inspect`: `…/inspector.py:create_server`.

Over stdio there is no sign-in, so the tools are listed and explained there but cannot be used; to use them, connect an
inspector to the running server's `/mcp` address.
"""

from __future__ import annotations

from typing import Any

from fastmcp import FastMCP

from m365_mcp import settings
from m365_mcp.app import build_parts, build_server


def create_server() -> FastMCP[Any]:
    """Return the MCP server built from the environment. Raises SettingsMistake."""
    return build_server(build_parts(settings.load()))
