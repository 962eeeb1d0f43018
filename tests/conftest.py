"""What holds for all tests: property tests try equal examples in every run; stamina is as silent as in a server."""

from hypothesis import settings

from m365_mcp.retries import keep_silent

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
keep_silent()
