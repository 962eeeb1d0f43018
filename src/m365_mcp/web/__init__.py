"""The HTTP edge: what is checked, and what is answered, before and after FastMCP's own application."""
