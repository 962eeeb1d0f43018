"""The demo: simulator and server as two real processes, and a client that signs in step by step."""
