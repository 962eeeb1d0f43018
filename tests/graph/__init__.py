"""Tests of m365_mcp.graph."""
