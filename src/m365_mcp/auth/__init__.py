"""Our authorization server: MCP clients register, sign in and refresh here (OAuth 2.1)."""
