"""A test for the sample run of the mutants."""

from m365_mcp.retries import parse_retry_after


def test_seconds_are_read() -> None:
    """A number of seconds is read."""
    assert parse_retry_after("3") == 3
