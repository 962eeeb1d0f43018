"""Tests of m365_mcp.auth."""
