"""The server for MCP Inspector: `fastmcp dev inspector -m m365_mcp.commands.inspector`.

Over stdio there is no sign-in, so the Inspector lists the tools but cannot call them. To call them, connect the
Inspector to the `/mcp` address of a running server.
"""

from __future__ import annotations

from typing import Any

from fastmcp import FastMCP

from m365_mcp import logs, settings
from m365_mcp.app import build_server
from m365_mcp.container import build_container


def create_server() -> FastMCP[Any]:
    """Return the MCP server built from the environment. Raises SettingsMistake."""
    return build_server(build_container(settings.load()))


if __name__ == "__main__":
    logs.configure("warning", "text")  # to standard error; standard output belongs to the protocol
    create_server().run(show_banner=False)
