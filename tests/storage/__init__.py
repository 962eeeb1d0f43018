"""Tests of m365_mcp.storage."""
