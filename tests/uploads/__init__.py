"""Tests of m365_mcp.uploads."""
