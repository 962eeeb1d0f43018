"""Tests of m365_mcp.sending."""
