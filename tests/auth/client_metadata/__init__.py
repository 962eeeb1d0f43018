"""Tests of `m365_mcp.auth.client_metadata`."""
