"""`m365-mcp doctor`: checks a set-up and says what to change. docs/doctor.md has the names of the checks."""
