"""Tests of m365_mcp.tools."""
