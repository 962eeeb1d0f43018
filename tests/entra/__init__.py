"""Tests of m365_mcp.entra."""
