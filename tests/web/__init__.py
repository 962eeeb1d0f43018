"""Tests of m365_mcp.web."""
