"""Chaos: server processes, a Redis and a simulator that fail on purpose while signed-in clients keep calling."""
