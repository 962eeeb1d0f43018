"""FastMCP with one tool and nothing else: what the framework costs."""

from __future__ import annotations

from fastmcp import FastMCP

from benchmarks.servers import place

PROFILE = {"displayName": "Ada Lovelace", "mail": "ada@contoso.example", "userPrincipalName": "ada@contoso.example"}
server: FastMCP[None] = FastMCP("Bare")


@server.tool
async def get_my_profile() -> dict[str, str]:
    """Return name and address of somebody, always the same."""
    return PROFILE


if __name__ == "__main__":
    server.run(
        transport="http", host="127.0.0.1", port=place().port, show_banner=False, json_response=True, stateless=True
    )
