"""Tests of m365_mcp.mail."""
