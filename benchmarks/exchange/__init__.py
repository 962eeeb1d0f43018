"""Our On-Behalf-Of exchange beside FastMCP's own (`make bench ARGS=--obo`), into `docs/reliability.md`."""
