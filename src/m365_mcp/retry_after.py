"""Pure: how long a `Retry-After` header asks to wait. Knows nothing of the rest of the project."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds to wait, or None when the header is missing or cannot be read.

    Both forms of RFC 9110 section 10.2.3 are understood: seconds and an HTTP date.
    """
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
