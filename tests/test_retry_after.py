"""Retry-After in both of its forms."""

from datetime import UTC, datetime

import pytest

from m365_mcp.retry_after import parse_retry_after

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("7", 7),
        ("0", 0),
        ("-3", None),
        ("inf", None),
        ("1_0", None),
        ("９", None),
        ("9" * 400, 999999999),
        ("Mon, 23 Nov 2026 12:00:30 -0000", 30),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
    ],
)
def test_header_becomes_seconds(value: str | None, seconds: float | None) -> None:
    """Seconds and dates are understood, the past means now, nonsense means nothing."""
    assert parse_retry_after(value, NOON) == seconds
