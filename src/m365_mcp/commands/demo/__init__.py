"""The demo: simulator and server as two real processes, and a client that walks through the sign-in."""
