"""The server for MCP Inspector: `fastmcp dev inspector -m m365_mcp.commands.inspector`.

Over stdio there is no sign-in, so the Inspector lists the tools but cannot call them. To call them, connect the
Inspector to the `/mcp` address of a running server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from m365_mcp import logs, settings
from m365_mcp.commands.error_messages import errors_as_messages

if TYPE_CHECKING:
    from fastmcp import FastMCP


def create_server() -> FastMCP[Any]:
    """Return the MCP server built from the environment. Raises SettingsMistake."""
    chosen = settings.load()  # first: FastMCP reads some of the same variables while it is imported
    from m365_mcp.app import build_server
    from m365_mcp.container import build_container

    return build_server(build_container(chosen))


if __name__ == "__main__":
    logs.configure("warning", "text")  # to standard error; standard output belongs to the protocol
    with errors_as_messages():
        create_server().run(show_banner=False)
