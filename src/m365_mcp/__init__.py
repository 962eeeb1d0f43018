"""The M365 MCP Server: lets an MCP client send mail as the signed-in person.

`docs/architecture.md` lists the packages; imports point down that list.
"""

from typing import TYPE_CHECKING, Any

__version__: str

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Return `__version__`, which only its readers pay for: `importlib.metadata` is a fifth of `--help`."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("m365-mcp-server")
