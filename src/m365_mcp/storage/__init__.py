"""The encrypted store behind the OAuth proxy: Redis in production, the disk on a laptop, memory in tests."""
