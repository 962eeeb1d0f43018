"""The M365 MCP Server: lets an MCP client send mail as the signed-in person.

`docs/architecture.md` lists the packages; imports point down that list.
"""

from importlib.metadata import version

__version__ = version("m365-mcp-server")
