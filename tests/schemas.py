"""The definitions of all tools, made once for all tests; nothing may change them."""

from __future__ import annotations

from m365_mcp.commands.reference import tool_schemas

TOOL_SCHEMAS = {tool["name"]: tool for tool in tool_schemas()}
