"""The M365 MCP Server: lets an MCP client send mail as the signed-in person.

Read `docs/architecture.md` for the map; imports point down that page.
"""

from importlib.metadata import version

__version__ = version("m365-mcp-server")
