"""`python -m m365_mcp` is `m365-mcp`."""

from m365_mcp.cli import main

main()
