"""The HTTP edge around FastMCP's application: checks before a request, corrections after its response."""
