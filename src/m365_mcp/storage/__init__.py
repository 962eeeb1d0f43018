"""The encrypted store of the server: Redis in production, the disk on a laptop, memory in tests."""
